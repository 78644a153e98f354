/** Which attempts a query is about, by what they have in common: values are compared whole, nothing in them is a pattern. */
import { type RawBuilder, type SqlBool, sql } from 'kysely';

/** A series must have one of the values of each member that is given, and all of the tags. */
export interface SeriesFilter {
  /** Ids of keys. */
  key?: readonly string[];
  team?: readonly string[];
  organisation?: readonly string[];
  /** As the client named it. */
  model?: readonly string[];
  /** provider/model. */
  target?: readonly string[];
  provider?: readonly string[];
  operation?: readonly string[];
  /** `key=value`. */
  tags?: readonly string[];
}

const members = ['key', 'team', 'organisation', 'model', 'target', 'provider', 'operation'] as const;

/** A condition on `series`. An empty list of values is matched by nothing. */
export function matchSeries(filter: SeriesFilter): RawBuilder<SqlBool> {
  const conditions = members.flatMap((name) => {
    const values = filter[name];
    if (values === undefined) return [];
    // PostgreSQL's text holds no U+0000: no series has it, and asking would fail.
    const sayable = values.filter((value) => !value.includes('\0'));
    if (sayable.length === 0) return [sql`1 = 0`];
    return [sql`${sql.ref(`series.${name}`)} in (${sql.join(sayable)})`];
  });
  for (const tag of filter.tags ?? []) {
    // Not LIKE: it has patterns, and SQLite's does not tell a from A.
    const listed = sql`(',' || series.tags || ',')`;
    conditions.push(
      tag === '' || /[,\0]/.test(tag) ? sql`1 = 0` : sql`replace(${listed}, ${`,${tag},`}, '') <> ${listed}`,
    );
  }
  return conditions.length === 0 ? sql<SqlBool>`1 = 1` : sql<SqlBool>`${sql.join(conditions, sql` and `)}`;
}
