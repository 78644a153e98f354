/** Limits in words, the same for the same limit. */
import type { Limit } from '../config/snapshot.ts';
import { formatUsd } from '../core/money.ts';

/** `5 USD per day`, `60 requests in any minute`, `8 calls at once`. */
export function describe(limit: Limit): string {
  const { unit, max, window } = limit;
  if (window === undefined) return `${max} ${max === 1 ? 'call' : 'calls'} at once`;
  const amount = `${say(limit, max)} ${unit === 'usd' ? 'USD' : max === 1 ? unit.slice(0, -1) : unit}`;
  if (window.per === 'lifetime') return `${amount} for good`;
  return `${amount} ${window.sliding ? 'in any' : 'per'} ${window.per}`;
}

export function say(limit: Limit, amount: number): string {
  return limit.unit === 'usd' && Number.isSafeInteger(amount) ? formatUsd(amount) : String(amount);
}

/** Roughly, and never too short: `20 s`, `45 min`, `24 h`, `8 days`. */
export function spell(seconds: number): string {
  if (seconds <= 120) return `${seconds} s`;
  if (seconds <= 7200) return `${Math.ceil(seconds / 60)} min`;
  return seconds <= 172_800 ? `${Math.ceil(seconds / 3600)} h` : `${Math.ceil(seconds / 86_400)} days`;
}

/** `day`, `sliding hour`, `month (Europe/Berlin)`; null: there is none. */
export function sayWindow(window: Limit['window']): string | null {
  if (window === undefined) return null;
  const { per, sliding, timeZone } = window;
  if (!sliding && timeZone === 'UTC') return per;
  return `${sliding ? 'sliding ' : ''}${per}${timeZone === 'UTC' ? '' : ` (${timeZone})`}`;
}
