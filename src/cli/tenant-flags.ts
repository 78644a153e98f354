/** What the command line says of an organisation, team or key, as the document that the store keeps. */
import { type Command, InvalidArgumentError } from 'commander';
import type { z } from 'zod';
import { writeLimit } from '../config/compile-limit.ts';
import { sayIssues } from '../config/mistakes.ts';
import { tenantName } from '../config/tenant-schema.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import { addDataOptions, CommandError, type DataFlags } from './data-dir.ts';
import { parseLimit } from './limit.ts';
import { readMoment, readSpan } from './moment.ts';

export interface TenantFlags extends DataFlags {
  document?: JsonObject;
  models?: string[];
  operations?: string[];
  addresses?: string[];
  limit?: JsonObject[];
  endUserLimit?: JsonObject[];
  unset?: string[];
  disable?: true;
  enable?: true;
  team?: string;
  organisation?: string;
  expires?: string;
}

/** Options that say what the document has; `changes`: of one that is there already. */
export function addTenantOptions(command: Command, changes: boolean): Command {
  command
    .option(
      '--models <a,b>',
      'models that may be asked for, a trailing * for a prefix (default: all)',
      readList,
    )
    .option(
      '--operations <a,b>',
      'what may be asked of them, such as chat,embeddings (default: all)',
      readList,
    )
    .option('--addresses <a,b>', 'IP addresses and ranges that calls may come from (default: all)', readList)
    .option(
      '--limit <limit>',
      "such as 'usd=5/day', 'requests=60/minute,sliding', 'concurrency=8'; may be repeated",
      readLimit,
    )
    .option('--end-user-limit <limit>', 'the same for each end user; may be repeated', readLimit)
    .option('--document <json>', 'all of it, as the configuration file would say it, in JSON', readDocument);
  if (changes) {
    command
      .option('--unset <a,b>', 'members to take away, such as models,limits', readList)
      .option('--disable', 'switches it off')
      .option('--enable', 'switches it on again');
  }
  return addDataOptions(command);
}

/**
 * @param before what it was; undefined: nothing.
 * @returns a document that the schema has approved of. @throws CommandError saying all that is wrong.
 */
export function documentFrom(flags: TenantFlags, schema: z.ZodType, before: JsonObject = {}): JsonObject {
  const document: JsonObject = { ...(flags.document ?? before) };
  const { models, operations, addresses, limit: limits, endUserLimit, team, organisation, expires } = flags;
  const said = { models, operations, addresses, limits, team, organisation, expires };
  for (const [name, value] of Object.entries(said)) if (value !== undefined) document[name] = value;
  if (endUserLimit !== undefined) document.end_users = { limits: endUserLimit };
  if (flags.disable === true) document.disabled = true;
  if (flags.enable === true) delete document.disabled;
  for (const name of flags.unset ?? []) delete document[name];
  checkWith(schema, document);
  return document;
}

/** @throws CommandError where an update was called that changes nothing. */
export function requireChange({ data, config, ...said }: TenantFlags): void {
  if (Object.values(said).some((value) => value !== undefined)) return;
  throw new CommandError('Say what to change, such as --limit usd=5/day; --help lists what there is.', 1);
}

/** @throws CommandError */
export function checkName(name: string): string {
  checkWith(tenantName, name, 'the name');
  return name;
}

function checkWith(schema: z.ZodType, value: unknown, whole = 'the document'): void {
  const parsed = schema.safeParse(value);
  if (parsed.success) return;
  const mistakes = sayIssues(parsed.error.issues, value, schema).map(
    ({ path, message }) => `${path || whole}: ${message}`,
  );
  throw new CommandError(mistakes.join('\n'), 2);
}

function readList(text: string): string[] {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new InvalidArgumentError('Name at least one, or leave the option out.');
  return items;
}

function readLimit(text: string, before: JsonObject[] | undefined): JsonObject[] {
  return [...(before ?? []), writeLimit(parseLimit(text)) as JsonObject];
}

function readDocument(text: string): JsonObject {
  try {
    const document: unknown = JSON.parse(text);
    if (isObject(document)) return document;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError(`Write an object, such as '{"models": ["fast"]}'.`);
}

/** A moment to come, as a document has it. */
export function readExpiry(text: string): string {
  const now = Date.now();
  const span = readSpan(text);
  const moment = span === undefined ? readMoment(text, now) : now + span;
  if (moment === undefined || moment <= now) {
    throw new InvalidArgumentError('Give a time to come: 30d, 12h, or an ISO date such as 2030-01-31.');
  }
  return new Date(moment).toISOString();
}
