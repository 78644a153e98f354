/** Values as people write them in the configuration: durations, sizes, amounts. */
import { z } from 'zod';

const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const sizeUnits: Record<string, number> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
/** Longest timer JavaScript keeps: a longer one fires at once. */
const maxDurationMs = 2 ** 31 - 1;
/** Nano-dollars are exact up to 2^53: nine million dollars. */
export const maxUsd = 9_000_000;

/** `30s`, `10m`, `500ms`: to milliseconds. */
export const duration = measured(
  '30s, 10m or 500ms',
  /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/,
  durationUnits,
  maxDurationMs,
);
/** `32mb`, `512kb`: to bytes. */
export const size = measured('32mb or 512kb', /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)$/i, sizeUnits, 2 * 1024 ** 3);

/** The same, of a disk. */
export const diskSize = measured(
  '8gb or 500mb',
  /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb|tb)$/i,
  { ...sizeUnits, tb: 1024 ** 4 },
  1024 ** 5,
);

/** How long a secret goes on working after another took its place, to milliseconds; `0m` ends it at once. */
export const grace = measured(
  '0m, 12h or 7d, at most 366d',
  /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)$/,
  { ...durationUnits, d: 86_400_000, w: 604_800_000 },
  366 * 86_400_000,
  0,
);

/** `90d`, `12w` or `2y`: to milliseconds, at most a century; `forever`: undefined. */
export const keptFor = z.string({ error: 'write it as 90d or forever' }).transform((text, context) => {
  if (text.trim() === 'forever') return undefined;
  const [, amount, unit] = /^(\d{1,5})\s*([dwy])$/.exec(text.trim()) ?? [];
  const days = Number(amount) * { d: 1, w: 7, y: 365 }[unit as 'd' | 'w' | 'y'];
  if (days > 0 && days <= 36_500) return days * 86_400_000;
  context.addIssue({
    code: 'custom',
    message: `"${text}" is not usable; write it as 90d, 12w, 2y or forever`,
  });
  return z.NEVER;
});

function measured(example: string, form: RegExp, units: Record<string, number>, max: number, least = 1) {
  return z.string({ error: `write it as ${example}` }).transform((text, context) => {
    const [, amount, unit] = form.exec(text.trim()) ?? [];
    const value = unit === undefined ? Number.NaN : Math.round(Number(amount) * units[unit.toLowerCase()]!);
    if (value >= least && value <= max) return value;
    context.addIssue({ code: 'custom', message: `"${text}" is not usable; write it as ${example}` });
    return z.NEVER;
  });
}

/** A number, also as text, because `${ENV}` substitution yields text. */
export function amount(says: string, accepts: (value: number) => boolean) {
  return z
    .union([z.number(), z.string()], { error: says })
    .transform((given) => (typeof given === 'string' && given.trim() === '' ? Number.NaN : Number(given)))
    .refine((value) => Number.isFinite(value) && accepts(value), { error: says });
}

export const wholeLimit = (max: number) =>
  amount(`must be a whole number from 1 to ${max}`, (n) => Number.isInteger(n) && n >= 1 && n <= max);
export const text = z.string({ error: 'must be text' });

export const secret = text
  .trim()
  .min(1, { error: 'the secret is empty; set the variable it comes from, or remove this line' });
