/** `sluice keys`: makes, lists and revokes keys; a running gateway learns of it within a second. */

import { mkdirSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Kysely } from 'kysely';
import { nearestOr } from '../config/mistakes.ts';
import type { PlainLimit } from '../core/limit.ts';
import { createKey, listKeys, revokeKey, type StoreKey } from '../store/keys.ts';
import { openStore, storeExists } from '../store/open.ts';
import type { Schema } from '../store/schema.ts';
import { renewFirstToken } from '../store/tokens.ts';
import { commandName } from './command-name.ts';
import {
  addDataOptions,
  CommandError,
  type DataFlags,
  findDataDir,
  findTeams,
  runCommand,
} from './data-dir.ts';
import { formatLimit, parseLimit } from './limit.ts';
import { readMoment, readSpan } from './moment.ts';
import { formatTable } from './table.ts';

interface CreateFlags extends DataFlags {
  name: string;
  team?: string;
  models?: string[];
  limit?: PlainLimit[];
  expires?: number;
}

interface ListFlags extends DataFlags {
  format: 'table' | 'json';
}

export function addKeysCommand(program: Command): void {
  const keys = program.command('keys').description('make, list and revoke keys');

  addDataOptions(
    keys
      .command('create')
      .description('make a key and print its secret, once')
      .requiredOption('--name <name>', 'name of the key, shown in usage', readName)
      .option('--team <team>', 'team it belongs to (default: default)')
      .option('--models <a,b>', 'models it may use, a trailing * for a prefix (default: all)', readModels)
      .option(
        '--limit <limit>',
        "such as 'usd=5/day', 'requests=60/minute,sliding', 'concurrency=8'; may be repeated",
        readLimit,
      )
      .option('--expires <when>', 'when it ends: 30d, 12h, or an ISO date (default: never)', readExpiry),
  ).action((flags: CreateFlags) => runCommand(() => withStore(flags, true, (db) => create(db, flags))));

  addDataOptions(
    keys
      .command('list')
      .description('list keys; their secrets are kept nowhere')
      .addOption(
        new Option('--format <format>', 'how to print them').choices(['table', 'json']).default('table'),
      ),
  ).action((flags: ListFlags) =>
    runCommand(() =>
      withStore(flags, false, async (db) => formatKeys(await listKeys(db), flags.format, Date.now())),
    ),
  );

  addDataOptions(
    keys.command('revoke').description('end a key for good').argument('<name|id>', 'the key'),
  ).action((nameOrId: string, flags: DataFlags) =>
    runCommand(() =>
      withStore(flags, false, async (db) => {
        const key = await revokeKey(db, nameOrId);
        return `Revoked ${key.name} (${key.id}). A running gateway refuses it within a second.\n`;
      }),
    ),
  );

  addDataOptions(
    keys.command('admin-token').description('make a new admin token in place of the first one, and print it'),
  ).action((flags: DataFlags) => runCommand(() => withStore(flags, true, renew)));
}

/** The secret alone goes to standard output, so that it can be taken from there. */
async function renew(db: Kysely<Schema>): Promise<string> {
  const token = await renewFirstToken(db);
  process.stderr.write(
    'This is the only time it is shown: keep it now. A running gateway takes it at once.\n',
  );
  return `${token}\n`;
}

/** The secret alone goes to standard output, so that it can be taken from there. */
async function create(db: Kysely<Schema>, flags: CreateFlags): Promise<string> {
  requireTeam(flags);
  const { key, secret } = await createKey(db, {
    name: flags.name,
    team: flags.team,
    models: flags.models,
    limits: flags.limit,
    expiresAt: flags.expires,
  });
  process.stderr.write(
    `Key ${key.name} (${key.id}). This is the only time its secret is shown: keep it now. A running gateway takes it within a second.\n`,
  );
  return `${secret}\n`;
}

/** A team that is written wrong has no limits. @throws CommandError where the configuration file does not know it. */
function requireTeam(flags: CreateFlags): void {
  const known = findTeams(flags);
  const { team } = flags;
  if (team === undefined || team === 'default' || known === undefined || known.includes(team)) return;
  throw new CommandError(
    `There is no team "${team}" in the configuration, so none of its limits would hold: ` +
      `${nearestOr(team, known, 'add it under teams, or leave --team out')}.`,
  );
}

async function withStore<T>(
  flags: DataFlags,
  make: boolean,
  run: (db: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  const dataDir = findDataDir(flags);
  if (make) makeDir(dataDir);
  else if (!storeExists(dataDir, 'sqlite')) {
    throw new CommandError(
      `There are no keys in ${dataDir}. Name the gateway's data directory with --data DIR.`,
    );
  }
  const store = await openStore(dataDir, 'sqlite');
  try {
    return await run(store.db);
  } finally {
    await store.close();
  }
}

function makeDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (error) {
    throw new CommandError(`Cannot make the data directory ${dataDir}: ${(error as Error).message}.`);
  }
}

/** A table for people, or a JSON array; hashes are in neither. */
function formatKeys(keys: StoreKey[], format: ListFlags['format'], now: number): string {
  if (format === 'json') {
    const rows = keys.map(({ hash, disabled, ...key }) => ({
      ...key,
      limits: key.limits.map(formatLimit),
      state: stateOf({ hash, disabled, ...key }, now),
    }));
    return `${JSON.stringify(rows, null, 2)}\n`;
  }
  if (keys.length === 0) return `There are no keys. Make one: ${commandName} keys create --name NAME\n`;
  const titles = ['name', 'id', 'team', 'models', 'limits', 'created', 'expires', 'state'];
  const rows = keys.map((key) => [
    key.name,
    key.id,
    key.team,
    key.models?.join(' ') ?? 'all',
    key.limits.map(formatLimit).join(' ') || 'none',
    formatDate(key.createdAt),
    key.expiresAt === undefined ? 'never' : formatDate(key.expiresAt),
    stateOf(key, now),
  ]);
  return formatTable(
    titles.map((title) => ({ title, align: 'left' })),
    rows,
  );
}

function stateOf(key: StoreKey, now: number): 'active' | 'revoked' | 'expired' {
  if (key.revokedAt !== undefined) return 'revoked';
  return key.expiresAt !== undefined && key.expiresAt <= now ? 'expired' : 'active';
}

function formatDate(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

function readName(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Give it a name that is not empty.');
  return text.trim();
}

function readModels(text: string): string[] {
  const models = text
    .split(',')
    .map((model) => model.trim())
    .filter((model) => model !== '');
  if (models.length === 0)
    throw new InvalidArgumentError('Name at least one model, or leave the option out.');
  return models;
}

function readLimit(text: string, before: PlainLimit[] | undefined): PlainLimit[] {
  return [...(before ?? []), parseLimit(text)];
}

function readExpiry(text: string): number {
  const now = Date.now();
  const span = readSpan(text);
  const moment = span === undefined ? readMoment(text, now) : now + span;
  if (moment === undefined || moment <= now) {
    throw new InvalidArgumentError('Give a time to come: 30d, 12h, or an ISO date such as 2030-01-31.');
  }
  return moment;
}
