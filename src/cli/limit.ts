/** Limits as they are written on the command line: `usd=5/month,time_zone=Europe/Berlin`. */
import { InvalidArgumentError } from 'commander';
import { plainLimit, writeLimit } from '../config/compile-limit.ts';
import { limit } from '../config/limit-schema.ts';
import type { PlainLimit } from '../core/limit.ts';
import { formatUsd } from '../core/money.ts';

const says =
  "Write requests, tokens or usd as 'usd=5/day' (per second, minute, hour, day, week, month or lifetime), " +
  "or 'concurrency=8'; after a comma sliding, time_zone=Europe/Berlin, when_exhausted=refuse or warn=50+80+100.";

/** The same members as in the configuration. @throws InvalidArgumentError saying how to write it. */
export function parseLimit(text: string): PlainLimit {
  const [first = '', ...options] = text.split(',');
  const [, unit, amount, per] = /^([a-z]+)=(\d+(?:\.\d+)?)(?:\/([a-z]+))?$/.exec(first) ?? [];
  if (unit === undefined) throw new InvalidArgumentError(says);
  const members: Record<string, unknown> = { [unit]: amount };
  if (per !== undefined) members.per = per;
  for (const option of options) {
    const [name = '', value] = option.split('=', 2);
    if (Object.hasOwn(members, name)) throw new InvalidArgumentError(`${name} is said twice. ${says}`);
    members[name] = value === undefined ? true : name === 'warn' ? value.split('+') : value;
  }
  const { success, data, error } = limit.safeParse(members);
  if (success) return plainLimit(data);
  throw new InvalidArgumentError(`${error.issues[0]!.message}. ${says}`);
}

export function formatLimit(plain: PlainLimit): string {
  const { unit, max } = plain;
  const { per, sliding, time_zone, when_exhausted, warn } = writeLimit(plain);
  const parts = [`${unit}=${unit === 'usd' ? formatUsd(max) : max}${per === undefined ? '' : `/${per}`}`];
  if (sliding === true) parts.push('sliding');
  if (time_zone !== undefined) parts.push(`time_zone=${time_zone}`);
  if (when_exhausted !== undefined) parts.push(`when_exhausted=${when_exhausted}`);
  if (warn !== undefined) parts.push(`warn=${warn.join('+')}`);
  return parts.join(',');
}
