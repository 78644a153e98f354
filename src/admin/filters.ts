/** Which calls and sums are asked for: the same words wherever they are listed, summed or exported. */
import { z } from '@hono/zod-openapi';
import type { Kysely } from 'kysely';
import type { SeriesFilter } from '../store/filter.ts';
import type { Schema } from '../store/schema.ts';
import type { Scope } from './access.ts';
import { moment, word } from './resource.ts';

/** May be said several times: any of them. */
export function several<Item extends z.ZodType>(item: Item) {
  return z
    .union([item, z.array(item).max(100)])
    .transform((said) => (Array.isArray(said) ? said : [said]) as z.output<Item>[])
    .optional();
}

const words = several(word);

/** Members of a query. */
export const seriesFilters = {
  key: words.describe('Name or id of a key; several: any of them. So with the others.'),
  team: words,
  organisation: words,
  model: words.describe('As clients name it.'),
  target: words.describe('provider/model.'),
  provider: words,
  operation: words,
  tag: words.describe('name=value; several: all of them.'),
  since: moment.optional(),
  until: moment.optional().describe('Not included.'),
};

const filtersShape = z.object(seriesFilters);

/** What is asked for, as far as it lies within the scope. */
export async function filterOf(
  db: Kysely<Schema>,
  { key, tag, team, organisation, model, target, provider, operation }: z.output<typeof filtersShape>,
  scope: Scope,
): Promise<SeriesFilter> {
  return {
    ...definite({ model, target, provider, operation, tags: tag }),
    ...definite({
      key: key === undefined ? undefined : await idsOf(db, key),
      team: within(team, scope.team),
      organisation: within(organisation, scope.organisation),
    }),
  };
}

/** What of `asked` may be seen: others' is asked for in vain, as what there is not. */
function within(
  asked: readonly string[] | undefined,
  scope: string | undefined,
): readonly string[] | undefined {
  if (scope === undefined) return asked;
  return asked === undefined ? [scope] : asked.filter((one) => one === scope);
}

/** Calls of the configuration file's keys are recorded under the key's name, others under its id. */
export async function idsOf(db: Kysely<Schema>, namesOrIds: readonly string[]): Promise<string[]> {
  const named = await db.selectFrom('keys').select('id').where('name', 'in', namesOrIds).execute();
  return [...namesOrIds, ...named.map(({ id }) => id)];
}

function definite<Members extends Record<string, unknown>>(
  members: Members,
): { [Name in keyof Members]?: NonNullable<Members[Name]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
