/** Routes, as the configuration has them: a name, or a strategy over routes. */
import { z } from 'zod';
import { type ErrorKind, errorKinds } from '../core/error.ts';
import { parseCondition } from './condition.ts';
import { type LimitConfig, limit } from './limit-schema.ts';
import { type TimeoutConfig, timeout } from './timeout-schema.ts';
import { amount, duration, text } from './values.ts';

/** Strategies that have a name but no code: refused by name, so that nobody takes them for a typing mistake. */
export const plannedStrategies = ['cascade', 'ensemble'];

export const strategies = [
  'fallback',
  'split',
  'cheapest',
  'fastest',
  'least_busy',
  'sticky',
  'when',
  'hedge',
  'mirror',
] as const;

type StrategyName = (typeof strategies)[number];

export type RouteConfig = string | StrategyConfig;

/** One strategy, and what goes with it. */
export interface StrategyConfig {
  fallback?: RouteConfig[] | undefined;
  on?: FailureName[] | undefined;
  off?: FailureName[] | undefined;
  split?: { to: RouteConfig; weight: number }[] | undefined;
  cheapest?: RouteConfig[] | undefined;
  fastest?: RouteConfig[] | undefined;
  explore?: number | undefined;
  least_busy?: RouteConfig[] | undefined;
  steady?: boolean | undefined;
  sticky?: RouteConfig[] | undefined;
  by?: 'conversation' | 'session' | 'user' | 'prompt' | undefined;
  when?: { if: string; to: RouteConfig }[] | undefined;
  else?: RouteConfig | undefined;
  hedge?: RouteConfig[] | undefined;
  after?: number | undefined;
  mirror?: RouteConfig | undefined;
  to?: RouteConfig | undefined;
  share?: number | undefined;
  budget?: LimitConfig | undefined;
  timeout?: TimeoutConfig | undefined;
  resume?: 'never' | 'continue' | 'restart' | undefined;
  retries?: number | undefined;
}

/** Which members go with which strategies; those that are not named go with all. */
const belongs: Partial<Record<keyof StrategyConfig, readonly StrategyName[]>> = {
  on: ['fallback'],
  off: ['fallback'],
  explore: ['fastest'],
  steady: ['split', 'cheapest', 'fastest', 'least_busy'],
  by: ['sticky'],
  else: ['when'],
  after: ['hedge'],
  to: ['mirror'],
  share: ['hedge', 'mirror'],
  budget: ['mirror'],
};

/** What may go wrong with a target, as people write it. */
export const failures = {
  rate_limited: 'upstream_rate_limited',
  overloaded: 'upstream_overloaded',
  unavailable: 'upstream_unavailable',
  network: 'upstream_network',
  timeout: 'upstream_timeout',
  invalid: 'upstream_invalid',
  auth: 'upstream_auth',
  quota: 'upstream_quota',
  not_found: 'upstream_not_found',
  bad_request: 'upstream_bad_request',
  content_filter: 'upstream_content_filter',
  context_length: 'context_length',
} as const satisfies Record<string, ErrorKind>;

type FailureName = keyof typeof failures;

const failureNames = Object.keys(failures) as [FailureName, ...FailureName[]];
const mendable = failureNames.filter((name) => errorKinds[failures[name]].retry);

const failure = z.enum(failureNames, { error: `must be one of ${failureNames.join(', ')}` });
const fraction = amount('must be a share from 0 to 1, such as 0.05', (n) => n >= 0 && n <= 1);
const by = ['conversation', 'session', 'user', 'prompt'] as const;
const resume = ['never', 'continue', 'restart'] as const;

const condition = text.superRefine((source, context) => {
  try {
    parseCondition(source);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `is no condition: ${(error as Error).message}` });
  }
});

function routes(says: string) {
  return z.array(route).min(1, { error: 'needs at least one route' }).optional().describe(says);
}

const strategy: z.ZodType<StrategyConfig> = z
  .strictObject({
    get fallback() {
      return routes('Routes tried in order.');
    },
    on: z
      .array(failure)
      .min(1)
      .optional()
      .describe(`fallback: failures after which the next route is tried (default: ${mendable.join(', ')}).`),
    off: z.array(failure).min(1).optional().describe('fallback: failures after which it is not.'),
    get split() {
      return z
        .array(share)
        .min(1, { error: 'needs at least one route' })
        .optional()
        .describe('Routes drawn by weight.');
    },
    get cheapest() {
      return routes('Routes by what this very request is expected to cost.');
    },
    get fastest() {
      return routes('Routes by how fast they were lately.');
    },
    explore: fraction
      .optional()
      .describe('fastest: share of calls that find out how fast the others are (default 0.05).'),
    get least_busy() {
      return routes('Routes by calls that are running.');
    },
    steady: z
      .boolean({ error: 'must be true or false' })
      .optional()
      .describe('A conversation stays with the target whose prompt cache knows it (default true).'),
    get sticky() {
      return routes('Routes of which each conversation keeps its own.');
    },
    by: z
      .enum(by, { error: `must be one of ${by.join(', ')}` })
      .optional()
      .describe(
        'sticky: what stays together: a session, an end user, prompts that begin alike, or a session where the client names one and else its prompt (conversation, the default).',
      ),
    get when() {
      return z
        .array(rule)
        .min(1, { error: 'needs at least one rule' })
        .optional()
        .describe('The first route whose condition holds.');
    },
    get else() {
      return route.optional().describe('when: the route where no condition holds.');
    },
    get hedge() {
      return routes('Routes tried in order; where the first is late, the next is asked beside it.');
    },
    after: duration
      .optional()
      .describe('hedge: how late (default: later than 95 of 100 of its calls were lately).'),
    get mirror() {
      return route.optional().describe('The route that answers.');
    },
    get to() {
      return route.optional().describe('mirror: the route that is asked the same, unseen.');
    },
    share: fraction
      .optional()
      .describe('hedge, mirror: largest share of calls that another is asked for (hedge: 0.05, mirror: 1).'),
    budget: limit.optional().describe('mirror: what shadows may use.'),
    timeout: timeout.optional().describe('Time limits of calls by this route, before those of providers.'),
    resume: z
      .enum(resume, { error: `must be one of ${resume.join(', ')}` })
      .optional()
      .describe(
        'What becomes of a stream that breaks off: an error (never, the default), the same answer continued by another attempt (continue), or a new answer where nothing but thoughts were shown of it, and else an error (restart).',
      ),
    retries: amount('must be a whole number from 0 to 5', (n) => Number.isInteger(n) && n >= 0 && n <= 5)
      .optional()
      .describe(
        'How often to begin anew, after a pause, when all targets have failed for the moment (default 0).',
      ),
  })
  .superRefine((value, context) => {
    const named = strategies.filter((name) => value[name] !== undefined);
    const mistake = (message: string, path: string[] = []) =>
      context.addIssue({ code: 'custom', message, path });
    const [name] = named;
    if (name === undefined || named.length > 1)
      return mistake(`must name exactly one strategy: ${listed(strategies)}`);
    for (const [member, owners] of Object.entries(belongs)) {
      if (value[member as keyof StrategyConfig] !== undefined && !owners.includes(name))
        mistake(`goes with ${listed(owners)}, not with ${name}`, [member]);
    }
    if (name === 'mirror' && value.to === undefined)
      mistake('is missing: the route that is asked unseen', ['to']);
    if (name === 'hedge' && value.hedge!.length < 2) mistake('needs at least two routes', ['hedge']);
  });

const listed = (words: readonly string[]) =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

export const route: z.ZodType<RouteConfig> = z
  .union([text.min(1, { error: 'is empty; write provider/model' }), strategy], {
    error: `must be provider/model, the name of a model here, or a strategy such as { fallback: [...] }`,
  })
  .meta({
    id: 'route',
    description: 'provider/model, the name of another model here, or a strategy over routes.',
  });

const share = z.strictObject({
  to: route,
  weight: amount('must be a number above 0, such as 9 or 0.5', (n) => n > 0 && n <= 1e9).describe(
    'Share of the calls, relative to the other weights.',
  ),
});

const rule = z.strictObject({
  if: condition.describe(
    'A condition in CEL over request (model, operation, stream, tokens, max_tokens, session, user), key (name, team, organisation), tags, time (hour, minute, weekday; UTC) and health.up("provider/model").',
  ),
  to: route,
});

/** The routes right below, with their places. */
export function routesBelow(strategy: StrategyConfig): { path: (string | number)[]; route: RouteConfig }[] {
  const lists = ['fallback', 'cheapest', 'fastest', 'least_busy', 'sticky', 'hedge'] as const;
  const inLists = ['split', 'when'] as const;
  const single = ['else', 'mirror', 'to'] as const;
  return [
    ...lists.flatMap((name) => listOf(strategy[name]).map((each, i) => ({ path: [name, i], route: each }))),
    ...inLists.flatMap((name) =>
      listOf<{ to?: RouteConfig }>(strategy[name]).flatMap((each, i) =>
        each?.to === undefined ? [] : [{ path: [name, i, 'to'], route: each.to }],
      ),
    ),
    ...single.flatMap((name) => {
      const one = strategy[name];
      return one === undefined ? [] : [{ path: [name], route: one }];
    }),
  ];
}

/** Of what is not validated yet, too. */
function listOf<T>(value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? value : [];
}
