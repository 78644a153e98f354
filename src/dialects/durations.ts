/** Times as providers write them in headers and errors. */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * `17.39s`, `6ms`, `1m30s`, seconds such as `34`, an RFC 3339 or HTTP date, or a time since 1970: in milliseconds from
 * `nowMs`, 0 for what has passed. Undefined: it is none of them.
 */
export function readDurationMs(text: string, nowMs: number): number | undefined {
  const value = text.trim();
  if (/^\d+(\.\d+)?$/.test(value)) {
    const plain = Number(value);
    if (plain > 1e12) return Math.max(0, plain - nowMs);
    return plain > 1e9 ? Math.max(0, plain * 1000 - nowMs) : Math.round(plain * 1000);
  }
  if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(value)) {
    let ms = 0;
    for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
      ms += Number(amount) * (unitMs[unit ?? 's'] ?? 1);
    }
    return Math.round(ms);
  }
  // Less than a date is read as one by some engines.
  const date = value.length < 10 ? Number.NaN : Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
