/** Organisations, teams and keys of the store as tables for people, or as JSON; hashes are in neither. */
import { plainLimit } from '../config/compile-limit.ts';
import { limit as limitSchema } from '../config/limit-schema.ts';
import { isObject, type JsonObject } from '../core/json.ts';
import type { StoredKey, StoredTenant } from '../core/tenants.ts';
import { formatLimit } from './limit.ts';
import { formatTable } from './table.ts';

export type Format = 'table' | 'json';

export function formatKeys(keys: StoredKey[], format: Format, now: number): string {
  if (format === 'json') {
    return json(
      keys.map(({ id, name, document, createdAt, previousUntil, revokedAt, ...key }) => ({
        id,
        name,
        ...document,
        team: key.team,
        created: sayMoment(createdAt),
        previous_until: sayMoment(previousUntil),
        revoked: sayMoment(revokedAt),
        state: stateOf({ document, revokedAt }, now),
      })),
    );
  }
  const titles = ['name', 'id', 'team', 'models', 'limits', 'created', 'expires', 'state'];
  return table(
    titles,
    keys.map((key) => [
      key.name,
      key.id,
      key.team,
      ...restrictionsOf(key.document),
      formatDate(key.createdAt),
      typeof key.document.expires === 'string' ? formatDate(Date.parse(key.document.expires)) : 'never',
      stateOf(key, now),
    ]),
  );
}

export function formatTenants(tenants: StoredTenant[], format: Format): string {
  if (format === 'json') {
    return json(
      tenants.map(({ name, document, createdAt, updatedAt }) => ({
        name,
        ...document,
        created: sayMoment(createdAt),
        changed: sayMoment(updatedAt),
      })),
    );
  }
  const teams = tenants.some(({ document }) => document.organisation !== undefined);
  const priced = tenants.some(({ document }) => document.pricing !== undefined);
  return table(
    [
      'name',
      ...(teams ? ['organisation'] : []),
      'models',
      'limits',
      ...(priced ? ['pricing'] : []),
      'created',
      'state',
    ],
    tenants.map(({ name, document, createdAt }) => [
      name,
      ...(teams ? [String(document.organisation ?? 'default')] : []),
      ...restrictionsOf(document),
      ...(priced ? [sayPricing(document.pricing)] : []),
      formatDate(createdAt),
      document.disabled === true ? 'disabled' : 'active',
    ]),
  );
}

function restrictionsOf({ models, limits }: JsonObject): string[] {
  return [
    Array.isArray(models) ? models.join(' ') || 'none' : 'all',
    Array.isArray(limits) ? limits.map(say).join(' ') || 'none' : 'none',
  ];
}

/** `markup 20%` */
function sayPricing(pricing: unknown): string {
  return isObject(pricing) ? Object.entries(pricing).flat().join(' ') : 'at cost';
}

type State = 'active' | 'disabled' | 'revoked' | 'expired';

function stateOf({ document, revokedAt }: Pick<StoredKey, 'document' | 'revokedAt'>, now: number): State {
  if (revokedAt !== undefined) return 'revoked';
  if (document.disabled === true) return 'disabled';
  const { expires } = document;
  return typeof expires === 'string' && Date.parse(expires) <= now ? 'expired' : 'active';
}

function say(limit: unknown): string {
  const parsed = limitSchema.safeParse(limit);
  return parsed.success ? formatLimit(plainLimit(parsed.data)) : '?';
}

function table(titles: string[], rows: string[][]): string {
  return formatTable(
    titles.map((title) => ({ title, align: 'left' })),
    rows,
  );
}

const json = (rows: unknown[]): string => `${JSON.stringify(rows, null, 2)}\n`;

function formatDate(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

function sayMoment(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
