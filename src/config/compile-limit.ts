/** A limit in its three forms: as people write it, as plain data, and as calls count by it. */
import type { PlainLimit } from '../core/limit.ts';
import { formatUsd, parseUsd } from '../core/money.ts';
import type { LimitConfig } from './limit-schema.ts';
import type { Limit } from './snapshot.ts';
import { windowOf } from './window.ts';

export function compileLimit(limit: LimitConfig): Limit {
  return expandLimit(plainLimit(limit));
}

/** What is kept of a limit that was written. */
export function plainLimit(limit: LimitConfig): PlainLimit {
  const { per, sliding, time_zone: timeZone, when_exhausted: whenExhausted, warn } = limit;
  const plain = { per, sliding, timeZone, whenExhausted, warn };
  if (limit.usd !== undefined) return { unit: 'usd', max: parseUsd(limit.usd), ...plain };
  if (limit.tokens !== undefined) return { unit: 'tokens', max: limit.tokens, ...plain };
  if (limit.requests !== undefined) return { unit: 'requests', max: limit.requests, ...plain };
  return { unit: 'concurrency', max: limit.concurrency ?? 0 };
}

/** The other way: what was kept, as it would be written. */
export function writeLimit({ unit, max, per, sliding, timeZone, whenExhausted, warn }: PlainLimit) {
  const written = {
    [unit]: unit === 'usd' ? Number(formatUsd(max)) : max,
    per,
    sliding,
    time_zone: timeZone,
    when_exhausted: whenExhausted,
    warn: warn && [...warn],
  };
  return JSON.parse(JSON.stringify(written)) as LimitConfig;
}

/** Of budgets somebody is told in time, where nothing else is said. */
const budgetWarns: readonly number[] = [50, 80, 100];

export function expandLimit({
  unit,
  max,
  per,
  sliding,
  timeZone,
  whenExhausted = 'cut',
  warn = unit === 'usd' ? budgetWarns : [],
}: PlainLimit): Limit {
  const window = per === undefined ? undefined : windowOf(per, sliding, timeZone);
  return { unit, max, window, whenExhausted, warn: [...warn].sort((a, b) => a - b) };
}
