/** What would become of a request, without sending it: the plan, the limits and the costs, by the code of live calls. */
import type { Key, Snapshot, Target } from '../config/snapshot.ts';
import { GatewayError, toGatewayError } from '../core/error.ts';
import type { ExplainedLimit, ExplainedTarget, ExplainQuery, Explanation } from '../core/explain.ts';
import { foreign, requireMeaning } from '../core/loss.ts';
import { charge, formatUsd } from '../core/money.ts';
import { emptyUsage, type Usage } from '../core/usage.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import { clientDialects } from '../dialects/index.ts';
import { authorise } from '../governance/keys.ts';
import { amountOf, type BoundLimit } from '../governance/leases.ts';
import type { Limiter } from '../governance/limits.ts';
import { explainRoute } from '../routing/explain.ts';
import type { Moment, Sight } from '../routing/moment.ts';
import { describeWay, holds, type Step } from '../routing/plan.ts';
import { adaptRequest } from './adapt.ts';
import { type Asking, askingFor, CallAsk } from './ask.ts';
import { type Peek, peekBody } from './body.ts';
import { askingOf, noTarget, unknownModel, usageOf } from './handle.ts';
import type { Labels } from './labels.ts';
import { unpriced } from './tries.ts';

/** What an explanation is made from: the live gateway's, or a configuration's alone. */
export interface ExplainFrom {
  snapshot: Snapshot;
  sight: Sight;
  limiter: Pick<Limiter, 'limitsOf' | 'look'>;
  /** The key of a name; undefined: there is none. */
  keyNamed(name: string): Key | undefined;
}

/** Asks for whoever may do anything. */
const anyone: Key = {
  id: '',
  name: '',
  team: '',
  organisation: '',
  models: undefined,
  limits: [],
  expiresAt: undefined,
  disabled: false,
};

/** @throws GatewayError `bad_request` for a body that is no request, `not_found` for a key or model nobody knows. */
export function explain(query: ExplainQuery, from: ExplainFrom): Explanation {
  const dialect = clientDialects.find(({ name }) => name === query.dialect) ?? clientDialects[0]!;
  const peek = query.body === undefined ? undefined : peekQuery(query, dialect);
  const model = query.model ?? peek?.model ?? '';
  const key = query.key === undefined ? anyone : from.keyNamed(query.key);
  if (key === undefined) throw unknownKey(query.key!);
  const route = from.snapshot.resolve(model);
  if (route === undefined) throw unknownModel(model);
  const asking = peek === undefined ? askingBy(query) : askingOf(peek, dialect);
  const moment = momentOf(query, from, model, key, asking);
  const { route: drawn, steps } = explainRoute(route, moment);
  const limits = from.limiter.limitsOf(from.snapshot, key);
  const targets = steps.map((step) => explainStep(step, moment, limits, peek, dialect));
  const explained: Explanation = {
    model,
    key: query.key ?? null,
    tokens: asking.inputTokens,
    max_tokens: asking.maxTokens ?? null,
    route: drawn,
    targets,
    limits: [],
  };
  const first = steps[0]?.target;
  if (first !== undefined) {
    const held = peek === undefined ? usageBy(query, first) : usageOf(peek, first);
    explained.limits = explainLimits(limits, held, first, from.limiter, query.at);
  }
  const refused = whyRefused(key, model, steps, explained);
  if (refused !== undefined) explained.refused = refused;
  return explained;
}

function unknownKey(name: string): GatewayError {
  return new GatewayError('not_found', `There is no key named "${name}".`, { param: 'key' });
}

function peekQuery({ body, model, stream }: ExplainQuery, dialect: ClientDialect): Peek {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  // Where the path names the model, so does the question.
  const inBody = body?.model !== undefined;
  return peekBody(bytes, dialect, { operation: 'chat', ...(inBody ? {} : { model: model ?? '', stream }) });
}

function askingBy({ tokens, stream, max_tokens }: ExplainQuery): Asking {
  return { ...askingFor(tokens, stream), maxTokens: max_tokens };
}

function momentOf(
  query: ExplainQuery,
  { sight }: ExplainFrom,
  model: string,
  key: Key,
  asking: Asking,
): Moment {
  const tags = Object.entries(query.tags).map(([name, value]) => `${name}=${value}`);
  const labels: Labels = { tags: tags.join(','), session: query.session, endUser: query.end_user };
  return {
    nowMs: query.at,
    random: seeded(query.seed),
    ask: new CallAsk({ model, operation: 'chat', key, labels }, asking),
    sight: {
      ...sight,
      isHealthy: (target, nowMs) => !isDown(target, query) && sight.isHealthy(target, nowMs),
    },
  };
}

function isDown({ id, provider }: Target, { down }: ExplainQuery): boolean {
  return down.includes(id) || down.includes(`${provider.name}/*`);
}

/** The same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = Bun.hash.wyhash('explain', state);
    return Number(state >> 11n) / 2 ** 53;
  };
}

function explainStep(
  step: Step,
  { sight, ask, nowMs }: Moment,
  limits: readonly BoundLimit[],
  peek: Peek | undefined,
  dialect: ClientDialect,
): ExplainedTarget {
  const { target } = step;
  const explained: ExplainedTarget = {
    target: target.id,
    way: describeWay(step),
    healthy: sight.isHealthy(target, nowMs),
    fits: holds(target, ask.inputTokens),
    expected_cost_usd: null,
    lost: [],
  };
  if (target.price !== undefined) {
    const usage = emptyUsage();
    usage.input = ask.inputTokens;
    const usual = sight.outputTokens(target, ask.key) ?? usualTokens;
    usage.output = Math.round(Math.min(ask.maxTokens ?? Number.POSITIVE_INFINITY, usual));
    explained.expected_cost_usd = formatUsd(charge(usage, target.price));
  }
  try {
    if (target.price === undefined && limits.some(({ limit }) => limit.unit === 'usd'))
      throw unpriced(target);
    if (peek !== undefined) explained.lost = lossesAt(target, peek, dialect);
  } catch (thrown) {
    explained.passed_over = toGatewayError(thrown).message;
  }
  return explained;
}

/** Tokens of an answer, where nothing was learned yet. */
const usualTokens = 500;

/** What of a request goes unsaid at a target. @throws GatewayError where it cannot go unsaid. */
function lossesAt({ endpoints, quirks }: Target, peek: Peek, dialect: ClientDialect): string[] {
  if (endpoints.some((each) => each.dialect === dialect)) return [];
  const endpoint = endpoints[0];
  if (endpoint === undefined) return [];
  const { name, can } = endpoint.dialect;
  const asked = dialect.readRequest(JSON.parse(new TextDecoder().decode(peek.body)));
  const { request } = adaptRequest(asked, can, quirks, false);
  return requireMeaning(foreign(request, name, can, dialect.can), name);
}

function usageBy({ tokens, max_tokens }: ExplainQuery, target: Target): Usage {
  const usage = emptyUsage();
  usage.input = tokens;
  usage.output = max_tokens ?? target.quirks.defaultMaxTokens ?? 1024;
  return usage;
}

function explainLimits(
  limits: readonly BoundLimit[],
  usage: Usage,
  target: Target,
  limiter: ExplainFrom['limiter'],
  nowMs: number,
): ExplainedLimit[] {
  const nanoUsd = target.price === undefined ? 0 : charge(usage, target.price);
  return limits.map((bound) => {
    const { limit, owner, ownerName } = bound;
    const { used, reserved } = limiter.look(bound, nowMs);
    const needed = amountOf(limit.unit, usage.input + usage.output, nanoUsd);
    const say = (amount: number) => (limit.unit === 'usd' ? formatUsd(amount) : String(amount));
    return {
      owner,
      name: ownerName,
      unit: limit.unit,
      per: limit.per ?? null,
      max: say(limit.max),
      used: say(used),
      reserved: say(reserved),
      needed: say(needed),
      refuses: used + reserved + needed > limit.max,
    };
  });
}

/** The same order as that of a call: may it, is there anybody, do the limits bear it, can anybody be asked. */
function whyRefused(
  key: Key,
  model: string,
  steps: readonly Step[],
  { limits, targets }: Explanation,
): Explanation['refused'] {
  try {
    authorise(key, model);
    if (steps.length === 0) throw noTarget(model);
  } catch (thrown) {
    const { kind, message } = toGatewayError(thrown);
    return { kind, message };
  }
  const limit = limits.find(({ refuses }) => refuses);
  if (limit !== undefined) {
    const kind = limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limited';
    const message = `The ${limit.owner} "${limit.name}" has ${limit.used} used and ${limit.reserved} held of ${limit.max} ${limit.unit}; this call needs ${limit.needed}.`;
    return { kind, message };
  }
  if (targets.every(({ passed_over }) => passed_over !== undefined))
    return { kind: 'unsupported', message: targets[0]!.passed_over! };
  return undefined;
}
