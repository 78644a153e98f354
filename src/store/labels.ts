/** Sessions and end users as numbers: each text is written once, and a row of an attempt stays small. */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface Labels {
  /** Numbers of these texts, by labelOf, '' left out. New ones are committed at once, and stay even if what they are for does not. */
  resolve(texts: Iterable<string>): Promise<ReadonlyMap<string, number>>;
}

const rowsPerInsert = 16;
/** Texts remembered; when there are more, they are looked up again. */
const remembered = 50_000;
/** And after so long: retention goes by when a label was looked up last, to the day. */
const rememberedMs = 3_600_000;
const msPerDay = 86_400_000;

/** A text as every database holds it: two that become the same there are the same here. */
export function labelOf(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

/** @param now milliseconds since 1970. */
export function createLabels(db: Kysely<Schema>, now: () => number): Labels {
  let known = new Map<string, number>();
  let knownSince = now();
  const compile = (rows: number) =>
    db
      .insertInto('labels')
      .values(Array.from({ length: rows }, () => ({ label: '', seen: 0 })))
      .onConflict((conflict) =>
        conflict.column('label').doUpdateSet((eb) => ({ seen: eb.ref('excluded.seen') })),
      )
      .returning(['id', 'label'])
      .compile();
  const many = compile(rowsPerInsert);
  const one = compile(1);

  return {
    async resolve(said) {
      if (known.size > remembered || Math.abs(now() - knownSince) > rememberedMs) {
        known = new Map();
        knownSince = now();
      }
      const unknown = new Set<string>();
      for (const text of said) {
        const label = labelOf(text);
        if (label !== '' && !known.has(label)) unknown.add(label);
      }
      if (unknown.size === 0) return known;
      const seen = Math.floor(now() / msPerDay);
      const found = new Map<string, number>();
      // Sorted: nodes that write the same ones at once wait for each other in one order.
      const texts = [...unknown].sort();
      await db.transaction().execute(async (trx) => {
        for (let i = 0; i < texts.length; ) {
          const rows = texts.length - i < rowsPerInsert ? 1 : rowsPerInsert;
          const parameters = texts.slice(i, i + rows).flatMap((text) => [text, seen]);
          const written = await trx.executeQuery<{ id: number; label: string }>({
            ...(rows === 1 ? one : many),
            parameters,
          });
          for (const { id, label } of written.rows) found.set(label, id);
          i += rows;
        }
      });
      for (const [text, id] of found) known.set(text, id);
      return known;
    },
  };
}

/** Its number; undefined where nobody ever said it. */
export async function findLabel(db: Kysely<Schema>, text: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('labels')
    .select('id')
    .where('label', '=', labelOf(text))
    .executeTakeFirst();
  return row?.id;
}
