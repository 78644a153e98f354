/** What many attempts have in common as numbers: its series, and the facets its latencies are kept by. */
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Names } from '../core/record.ts';
import { isPostgres, textOf, textOfRow } from './dialect-of.ts';
import type { Schema } from './schema.ts';

export interface Known {
  series: number;
  /** Of its key, and of its model at its target. */
  facets: readonly [key: number, target: number];
}

/** Combinations remembered; when there are more, they are looked up again. */
const remembered = 20_000;

/** @returns a function that knows names, each one's place the same. New ones are committed on their own. */
export function createSeries(db: Kysely<Schema>): (all: readonly Names[]) => Promise<Known[]> {
  /** Attempts of one segment share their names: most are known by the object, and by what they say otherwise. */
  let byObject = new WeakMap<Names, Known>();
  const byName = new Map<string, Known>();

  return async (all) => {
    if (byName.size > remembered) {
      byName.clear();
      byObject = new WeakMap();
    }
    const unknown = new Map<string, Names>();
    for (const names of all) {
      if (byObject.has(names)) continue;
      const name = seriesName(names);
      const known = byName.get(name);
      if (known === undefined) unknown.set(name, names);
      else byObject.set(names, known);
    }
    if (unknown.size > 0) {
      // Committed on their own: an id remembered here must exist even if the attempts are rolled back.
      const found = await db.transaction().execute((trx) => findSeries(trx, unknown));
      for (const [name, known] of found) byName.set(name, known);
    }
    return all.map((names) => byObject.get(names) ?? byName.get(seriesName(names))!);
  };
}

export function seriesName(n: Names): string {
  return `${n.key}\n${n.team}\n${n.organisation}\n${n.model}\n${n.target}\n${n.provider}\n${n.tags}\n${n.priceSource}\n${n.operation ?? ''}\n${n.why ?? ''}\n${n.priceVersion ?? ''}`;
}

/** What they are known by, by seriesName; those that are new are added. Sorted: nodes that write the same ones at once wait for each other in one order. */
export async function findSeries(
  trx: Transaction<Schema>,
  unknown: ReadonlyMap<string, Names>,
): Promise<Map<string, Known>> {
  const found = new Map<string, Known>();
  const facets = new Map<string, number>();
  const facetOf = async (key: string, model: string, target: string) => {
    const name = `${key}\n${model}\n${target}`;
    const id = facets.get(name) ?? (await findOrAdd(trx, 'facets', { key, model, target }));
    facets.set(name, id);
    return id;
  };
  for (const [name, names] of [...unknown].sort(([a], [b]) => (a < b ? -1 : 1))) {
    found.set(name, {
      series: await findOrAdd(trx, 'series', rowOf(names)),
      facets: [await facetOf(names.key, '', ''), await facetOf('', names.model, names.target)],
    });
  }
  return found;
}

function rowOf({ priceSource, priceVersion = '', price: _, operation = 'chat', why = '', ...rest }: Names) {
  return { ...rest, price_source: priceSource, operation, why, price_version: priceVersion };
}

async function findOrAdd(
  trx: Transaction<Schema>,
  table: 'series' | 'facets',
  row: Record<string, string>,
): Promise<number> {
  await trx
    .insertInto(table)
    .values(row as never)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  let query = trx.selectFrom(table).select('id');
  for (const [column, value] of Object.entries(row))
    query = query.where(column as never, '=', value as never);
  if (isPostgres(trx)) {
    // The only index there is.
    query = query.where(sql`md5(${textOf(Object.keys(row))})`, '=', sql<string>`md5(${textOfRow(row)})`);
  }
  return (await query.executeTakeFirstOrThrow()).id;
}
