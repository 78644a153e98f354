/** A limit of the configuration in the units it is counted in. */
import { parseUsd } from '../core/money.ts';
import type { LimitConfig } from './limit-schema.ts';
import type { Limit } from './snapshot.ts';

export function compileLimit(limit: LimitConfig): Limit {
  const per = limit.per;
  if (limit.usd !== undefined) return { unit: 'usd', max: parseUsd(limit.usd), per };
  if (limit.tokens !== undefined) return { unit: 'tokens', max: limit.tokens, per };
  if (limit.requests !== undefined) return { unit: 'requests', max: limit.requests, per };
  return { unit: 'concurrency', max: limit.concurrency ?? 0, per: undefined };
}
