/** Calls as they were recorded: searched, looked at one by one, exported. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { RecordedPlan } from '../core/explain.ts';
import { formatUsd } from '../core/money.ts';
import type { CallPlace, ListedCall } from '../store/call-list.ts';
import { readCall, readPlan } from '../store/calls.ts';
import { covers, scopeOf } from './access.ts';
import { unknown } from './errors.ts';
import { exported, exportFormats } from './exported.ts';
import { filterOf, seriesFilters, several } from './filters.ts';
import { pageOf, pageQuery, readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import { type AdminEnv, guard, idParam, iso, json, newResource, refusals, word } from './resource.ts';

const callShape = z
  .object({
    id: z.string().describe('The x-request-id of its answer.'),
    at: z.iso.datetime().describe('When it ended.'),
    key: z.string(),
    key_name: z.string(),
    team: z.string(),
    organisation: z.string(),
    model: z.string().describe('As the client named it.'),
    target: z.string().describe('That answered, or was asked last.'),
    operation: z.string(),
    tags: z.string(),
    session: z.string(),
    end_user: z.string(),
    outcome: z.string().describe('ok, cancelled, or what went wrong.'),
    status: z.int().describe('What the client was answered with.'),
    stream: z.boolean(),
    duration_ms: z.int(),
    first_byte_ms: z.int().nullable(),
    attempts: z.int(),
    unpriced: z.int().describe('Attempts that no price is known for.'),
    estimated: z.int(),
    input_tokens: z.int(),
    cached_tokens: z.int(),
    output_tokens: z.int(),
    usd: z.string().describe('What all its attempts cost, exact.'),
    sell_usd: z.string().describe('What the organisation was charged.'),
    lost: z.string().describe('What of the request could not be said at the target, with spaces between.'),
  })
  .openapi('Call');

const status = z
  .string()
  .regex(/^[1-5](\d\d|xx)$/, 'must be a status, such as 429, or 4xx')
  .transform((said) => Number(said.replace('xx', '')));

const filters = {
  ...seriesFilters,
  outcome: several(word),
  status: several(status).openapi({ type: 'string', description: '429, or 4xx for all of them.' }),
  end_user: word.optional(),
  session: word.optional(),
};

const list = createRoute({
  method: 'get',
  path: '/admin/v1/calls',
  summary: 'Calls, the newest first.',
  ...guard('calls:read'),
  request: { query: pageQuery.extend(filters) },
  responses: { 200: json(pageOf(callShape), 'A page.'), ...refusals },
});

const file = createRoute({
  method: 'get',
  path: '/admin/v1/calls/export',
  summary: 'The same as a file.',
  ...guard('calls:read'),
  request: { query: z.strictObject({ format: z.enum(exportFormats).default('csv'), ...filters }) },
  responses: {
    200: { description: 'A file.', content: { 'text/csv': { schema: z.string() } } },
    ...refusals,
  },
});

const detail = z
  .object({
    id: z.string(),
    attempts: z.array(
      z.object({
        attempt: z.int(),
        at: z.iso.datetime(),
        key: z.string(),
        model: z.string(),
        target: z.string(),
        why: z.string().describe('The way through the route.'),
        outcome: z.string(),
        upstream_status: z.int(),
        status: z.int(),
        first_byte_ms: z.int().nullable(),
        duration_ms: z.int(),
        input_tokens: z.int(),
        output_tokens: z.int(),
        estimated: z.boolean(),
        usd: z.string().nullable().describe('Null: no price is known.'),
        lost: z.array(z.string()),
      }),
    ),
    plan: z
      .custom<RecordedPlan>()
      .nullable()
      .openapi({ type: 'object', description: 'What was thought of its route, where that left a choice.' }),
  })
  .openapi('CallDetail');

const one = createRoute({
  method: 'get',
  path: '/admin/v1/calls/{id}',
  summary: 'One call: all its attempts, and why each was made.',
  ...guard('calls:read'),
  request: { params: idParam },
  responses: { 200: json(detail, 'The call.'), ...refusals },
});

/** Rows of a page of an export. */
const exportedAtOnce = 1000;

export function callsResource(powers: AdminPowers) {
  async function read(
    c: Context<AdminEnv>,
    asked: z.output<z.ZodObject<typeof filters>>,
    limit: number,
    after: CallPlace | undefined,
  ): Promise<ListedCall[]> {
    const db = await powers.store();
    const filter = await filterOf(db, asked, scopeOf(c.get('token')));
    const { outcome, status, end_user: endUser, session, since, until } = asked;
    return await powers.questions.calls({
      filter,
      outcome,
      status,
      endUser,
      session,
      since,
      until,
      after,
      limit,
    });
  }

  return newResource()
    .openapi(list, async (c) => {
      const { limit, cursor, ...asked } = c.req.valid('query');
      const rows = await read(c, asked, limit + 1, readCursor(cursor, [0, '']));
      return c.json(
        toPage(rows, limit, ({ at, call }) => [Number(at), call], say),
        200,
      );
    })
    .openapi(file, async (c) => {
      const { format, ...asked } = c.req.valid('query');
      let after: CallPlace | undefined;
      let whole = false;
      const next = async () => {
        if (whole) return [];
        const rows = await read(c, asked, exportedAtOnce, after);
        const last = rows.at(-1);
        whole = rows.length < exportedAtOnce;
        after = last && [Number(last.at), last.call];
        return rows.map(say);
      };
      return (await exported(c, format, 'calls', Object.keys(callShape.shape), next)) as never;
    })
    .openapi(one, async (c) => {
      const { id } = c.req.valid('param');
      const db = await powers.store();
      const attempts = await readCall(db, id);
      const scope = scopeOf(c.get('token'));
      if (attempts.length === 0 || !attempts.every((attempt) => covers(scope, attempt)))
        throw unknown('call', id);
      const plan = await readPlan(db, id);
      return c.json(
        {
          id,
          attempts: attempts.map((attempt) => ({
            attempt: attempt.attempt,
            at: iso(Number(attempt.at)),
            key: attempt.key,
            model: attempt.model,
            target: attempt.target,
            why: attempt.why,
            outcome: attempt.outcome,
            upstream_status: attempt.upstream_status,
            status: attempt.client_status,
            first_byte_ms: attempt.first_byte_ms,
            duration_ms: Number(attempt.duration_ms),
            input_tokens: Number(attempt.input),
            output_tokens: Number(attempt.output),
            estimated: attempt.estimated === 1,
            usd: attempt.nano_usd === null ? null : formatUsd(Number(attempt.nano_usd)),
            lost: attempt.lost === '' ? [] : attempt.lost.split('\n'),
          })),
          plan: plan === undefined ? null : (JSON.parse(plan) as RecordedPlan),
        },
        200,
      );
    });
}

function say(row: ListedCall): z.infer<typeof callShape> {
  return {
    id: row.call,
    at: iso(Number(row.at)),
    key: row.key,
    key_name: row.key_name ?? row.key,
    team: row.team,
    organisation: row.organisation,
    model: row.model,
    target: row.target,
    operation: row.operation,
    tags: row.tags,
    session: row.session,
    end_user: row.end_user,
    outcome: row.outcome,
    status: row.client_status,
    stream: row.stream === 1,
    duration_ms: Number(row.duration_ms),
    first_byte_ms: row.first_byte_ms === null ? null : Number(row.first_byte_ms),
    attempts: Number(row.attempts),
    unpriced: Number(row.unpriced),
    estimated: Number(row.estimated),
    input_tokens: Number(row.input),
    cached_tokens: Number(row.cached),
    output_tokens: Number(row.output),
    usd: formatUsd(BigInt(row.nano_usd)),
    sell_usd: formatUsd(BigInt(row.sell_nano_usd)),
    lost: row.lost.replaceAll('\n', ' '),
  };
}
