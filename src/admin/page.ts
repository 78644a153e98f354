/** Lists are read in pages: a cursor says behind which row the next one goes on, so that rows added meanwhile disturb nothing. */
import { z } from '@hono/zod-openapi';
import { AdminError } from './errors.ts';

export type Place = readonly (string | number)[];

/** Its parts are of the same kinds. */
type Like<Of extends Place> = { [Part in keyof Of]: Of[Part] extends string ? string : number };

/** What may be asked of any list. */
export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Rows of a page.'),
  cursor: z.string().max(1000).optional().describe('`next` of the page before.'),
});

export function pageOf<Row extends z.ZodType>(row: Row) {
  return z.object({
    data: z.array(row),
    next: z.string().nullable().describe('Cursor of the next page; null: this is the last one.'),
  });
}

/**
 * The place a cursor stands for, which has as many words and numbers as `example`; undefined: the beginning.
 * @throws AdminError for what is no cursor of such a list.
 */
export function readCursor<Of extends Place>(
  cursor: string | undefined,
  example: readonly [...Of],
): Like<Of> | undefined {
  if (cursor === undefined) return undefined;
  try {
    const place = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown;
    if (
      Array.isArray(place) &&
      place.length === example.length &&
      place.every((part, i) => typeof part === typeof example[i] && isSayable(part))
    )
      return place as unknown as Like<Of>;
  } catch {}
  const message = 'is none of this list; take `next` of the page before';
  throw new AdminError('bad_request', `cursor: ${message}.`, { mistakes: [{ path: 'cursor', message }] });
}

/** To a database, as what some row has. */
function isSayable(part: unknown): boolean {
  if (typeof part === 'number') return Number.isSafeInteger(part);
  return typeof part === 'string' && part.isWellFormed() && !part.includes('\0');
}

/** @param rows one more than `limit`, where there are so many. */
export function toPage<Row, Said>(
  rows: readonly Row[],
  limit: number,
  placeOf: (row: Row) => Place,
  say: (row: Row) => Said,
): { data: Said[]; next: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    data: shown.map(say),
    next: more ? Buffer.from(JSON.stringify(placeOf(last))).toString('base64url') : null,
  };
}
