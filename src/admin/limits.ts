/** How full limits are, in the running gateway that is asked. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Key } from '../config/snapshot.ts';
import { covers, type Scope, scopeOf } from './access.ts';
import { unknown } from './errors.ts';
import type { AdminPowers } from './powers.ts';
import { guard, json, newResource, refusals, word } from './resource.ts';

const state = z
  .object({
    owner: z.string().describe('key, team or organisation.'),
    name: z.string(),
    limit: z.string().describe('In words, such as 60 requests per minute.'),
    unit: z.string(),
    per: z.string().nullable().describe('As the configuration says it; null: calls at once.'),
    sliding: z.boolean(),
    time_zone: z.string().nullable(),
    max: z.string(),
    used: z.string(),
    reserved: z.string().describe('Held by running calls.'),
    percent: z.number().describe('Of max that is used or reserved.'),
  })
  .openapi('LimitState');

const name = word.min(1).optional();

const list = createRoute({
  method: 'get',
  path: '/admin/v1/limits',
  summary: 'How full every limit is that holds for a key, a team or an organisation.',
  ...guard('limits:read'),
  request: {
    query: z
      .strictObject({ key: name.describe('Id or name.'), team: name, organisation: name })
      .refine((said) => Object.values(said).filter((value) => value !== undefined).length === 1, {
        error: 'must name one of key, team and organisation',
      }),
  },
  responses: { 200: json(z.object({ data: z.array(state) }), 'As they are now.'), ...refusals },
});

export function limitsResource(powers: AdminPowers) {
  return newResource().openapi(list, (c) => {
    const asked = c.req.valid('query');
    const scope = scopeOf(c.get('token'));
    const of = find(powers, asked);
    if (of === undefined || !covers(scope, whose(of))) {
      const [kind, said] = Object.entries(asked).find(([, value]) => value !== undefined)!;
      throw unknown(kind, said!);
    }
    // What the organisation has is not for one team to know.
    const shown = powers
      .limits(of)
      .filter(({ owner }) => scope.team === undefined || owner !== 'organisation');
    return c.json({ data: shown }, 200);
  });
}

type Holder = Key | Pick<Key, 'team' | 'organisation'>;

function find(
  powers: AdminPowers,
  asked: { key?: string; team?: string; organisation?: string },
): Holder | undefined {
  const { key, team, organisation } = asked;
  if (key !== undefined) return powers.keyOf(key) ?? powers.keyNamed(key);
  const { teams, organisations } = powers.snapshot();
  if (team !== undefined) {
    const found = teams.get(team);
    return found && { team, organisation: found.organisation };
  }
  return organisations?.has(organisation!) ? { team: '', organisation: organisation! } : undefined;
}

function whose({ team, organisation }: Holder): Scope {
  return { organisation, team: team === '' ? undefined : team };
}
