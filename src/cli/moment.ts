/** Moments as people write them on the command line. */

const unitMs: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * `7d`, `24h`, `90m`, `2w` before `now`; or an ISO date or date and time, in UTC unless it says otherwise.
 * @returns milliseconds since 1970; undefined when it is neither.
 */
export function readMoment(text: string, now: number): number | undefined {
  const ms = readSpan(text);
  if (ms !== undefined) return now - ms;
  if (!/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(text))
    return undefined;
  const iso = text.replace(' ', 'T');
  const zoned = iso.length === 10 || /(Z|[+-]\d{2}:\d{2})$/.test(iso.slice(11));
  const moment = Date.parse(zoned ? iso : `${iso}Z`);
  return Number.isNaN(moment) ? undefined : moment;
}

/** `7d`, `24h`, `90m`, `2w` in milliseconds; undefined when it is no such span. */
export function readSpan(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(amount) * unitMs[unit]!;
}
