/** Limits in words, the same for the same limit. */
import type { Limit } from '../config/snapshot.ts';
import { formatUsd } from '../core/money.ts';

/** `5 USD per day`, `60 requests in any minute`, `8 calls at once`. */
export function describe(limit: Limit): string {
  const { unit, max, window } = limit;
  if (window === undefined) return `${max} ${max === 1 ? 'call' : 'calls'} at once`;
  const amount = `${say(limit, max)} ${unit === 'usd' ? 'USD' : unit}`;
  if (window.per === 'lifetime') return `${amount} for good`;
  return `${amount} ${window.sliding ? 'in any' : 'per'} ${window.per}`;
}

export function say(limit: Limit, amount: number): string {
  return limit.unit === 'usd' && Number.isSafeInteger(amount) ? formatUsd(amount) : String(amount);
}
