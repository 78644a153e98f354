/** What would become of a request, without sending it: the plan, the limits and the costs, by the code of live calls. */
import type { Key, Snapshot, Target } from '../config/snapshot.ts';
import { GatewayError, toGatewayError } from '../core/error.ts';
import type { ExplainedLimit, ExplainedTarget, ExplainQuery, Explanation } from '../core/explain.ts';
import { foreign, requireMeaning } from '../core/loss.ts';
import { formatUsd } from '../core/money.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import { clientDialects } from '../dialects/index.ts';
import { authorise } from '../governance/allow.ts';
import { nobodysKey } from '../governance/keys.ts';
import { type Amounts, amountOf, type BoundLimit } from '../governance/leases.ts';
import { sayWindow } from '../governance/limit-words.ts';
import { capacityOf, type Limiter, whenExhausted } from '../governance/limits.ts';
import { explainRoute } from '../routing/explain.ts';
import type { Moment, Sight } from '../routing/moment.ts';
import { describeWay, holds, type Step } from '../routing/plan.ts';
import { adaptRequest } from './adapt.ts';
import { type Holder, type Size, sizeAnswer } from './answer-size.ts';
import { type Asking, askingFor, CallAsk } from './ask.ts';
import { type Peek, peekBody } from './body.ts';
import { boundInput, correctBound, isKnown, isOnlyText } from './bound-input.ts';
import { isAmple, needsOf, usageOf } from './expected-usage.ts';
import { askingOf, noTarget, unknownModel } from './handle.ts';
import type { Labels } from './labels.ts';
import { expectedNanoUsd } from './plan-record.ts';
import { parseObject } from './render.ts';
import { type Buyer, canHold } from './sold.ts';
import { unpriced } from './tries.ts';

/** What an explanation is made from: the live gateway's, or a configuration's alone. */
export interface ExplainFrom {
  snapshot: Snapshot;
  sight: Sight;
  limiter: Pick<Limiter, 'limitsOf' | 'look' | 'room' | 'isAmple'>;
  /** The key of a name; undefined: there is none. */
  keyNamed(name: string): Key | undefined;
}

/** @throws GatewayError `bad_request` for a body that is no request, `not_found` for a key or model nobody knows. */
export function explain(query: ExplainQuery, from: ExplainFrom): Explanation {
  const dialect = clientDialects.find(({ name }) => name === query.dialect)!;
  const peek = query.body === undefined ? undefined : peekQuery(query, dialect);
  const model = query.model ?? peek?.model ?? '';
  const key = query.key === undefined ? nobodysKey : from.keyNamed(query.key);
  if (key === undefined) throw unknownKey(query.key!);
  const route = from.snapshot.resolve(model);
  if (route === undefined) throw unknownModel(model);
  const asking = peek === undefined ? askingBy(query) : askingOf(peek, dialect);
  const moment = momentOf(query, from, model, key, asking);
  const limits = from.limiter.limitsOf(from.snapshot, key, query.end_user);
  const buyer: Buyer = { snapshot: from.snapshot, key };
  // Limits go by the clock: asked for another moment, they would take it for the present.
  const nowMs = Date.now();
  const holder: Holder = {
    whenExhausted: whenExhausted(limits),
    capacity: capacityOf(limits),
    bearable: from.limiter.room(limits, nowMs),
    isAmple: (needs) => from.limiter.isAmple(limits, needs, nowMs),
    highOutput: (target) => from.sight.highOutputTokens(target, key),
  };
  const limitsAt = ({ target }: Step): ExplainedLimit[] => {
    const bears = (inBytes: Asked) => isAmple(inBytes, target, buyer, holder);
    const size = sizeOf(query, peek, dialect, from.sight.inputRatio(target, key), bears);
    const bearing = (output: number) => needsOf(usageOf(size, output), target, buyer);
    const { output } = sizeAnswer({ ...size, cuttable: asking.stream }, target, holder, bearing);
    return explainLimits(limits, bearing(output), from.limiter, query.at);
  };
  const looked = new Map<Step, ExplainedTarget>();
  let overLimit: Explanation['refused'];
  const look = (step: Step): ExplainedTarget => {
    const known = looked.get(step);
    if (known !== undefined) return known;
    const explained = explainStep(step, moment, limits, buyer, peek, dialect);
    // What limits do not bear of the first refuses the call: they pass over any other.
    const refused =
      looked.size === 0 || explained.passed_over !== undefined ? undefined : refusalBy(limitsAt(step));
    if (refused !== undefined) explained.passed_over = refused.message;
    overLimit = refused ?? overLimit;
    looked.set(step, explained);
    return explained;
  };
  const { route: drawn, steps } = explainRoute(route, moment, (step) => look(step).passed_over === undefined);
  const targets = steps.map(look);
  const explained: Explanation = {
    model,
    key: query.key ?? null,
    tokens: asking.inputTokens,
    max_tokens: asking.maxTokens ?? null,
    route: drawn,
    targets,
    limits: steps[0] === undefined ? [] : limitsAt(steps[0]),
  };
  const refused = whyRefused(key, model, explained, overLimit);
  if (refused !== undefined) explained.refused = refused;
  return explained;
}

type Asked = Pick<Size, 'tokens' | 'maxTokens' | 'answers'>;

/** What limits have to hold for the prompt. @param bears whether they do so many times over. */
function sizeOf(
  { tokens, max_tokens }: ExplainQuery,
  peek: Peek | undefined,
  dialect: ClientDialect,
  ratio: number | undefined,
  bears: (inBytes: Asked) => boolean,
): Asked & Pick<Size, 'ample'> {
  if (peek === undefined) return { tokens, maxTokens: max_tokens, answers: 1, ample: false };
  const { body, maxTokens, answers } = peek;
  const isText = isOnlyText(body);
  const inBytes = { tokens: body.length, maxTokens, answers };
  if (isText && isKnown(ratio) && bears(inBytes)) return { ...inBytes, ample: true };
  const bound = boundInput(body, isText, () => dialect.readRequest(parseObject(body)));
  return { tokens: correctBound(bound, ratio), maxTokens, answers, ample: false };
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
  moment: Moment,
  limits: readonly BoundLimit[],
  buyer: Buyer,
  peek: Peek | undefined,
  dialect: ClientDialect,
): ExplainedTarget {
  const { target } = step;
  const { sight, ask, nowMs } = moment;
  const expected = expectedNanoUsd(step, moment);
  const explained: ExplainedTarget = {
    target: target.id,
    way: describeWay(step),
    healthy: sight.isHealthy(target, nowMs),
    fits: holds(target, ask.inputTokens),
    expected_cost_usd: expected === undefined ? null : formatUsd(expected),
    lost: [],
  };
  try {
    if (!canHold(target, buyer) && limits.some(({ limit }) => limit.unit === 'usd')) throw unpriced(target);
    if (peek !== undefined) explained.lost = lossesAt(target, peek, dialect);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    explained.passed_over = thrown.message;
  }
  return explained;
}

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

function explainLimits(
  limits: readonly BoundLimit[],
  { tokens, nanoUsd }: Amounts,
  limiter: ExplainFrom['limiter'],
  nowMs: number,
): ExplainedLimit[] {
  return limits.map((bound) => {
    const { limit, owner, ownerName } = bound;
    const { used, reserved } = limiter.look(bound, nowMs);
    const needed = amountOf(limit.unit, tokens, nanoUsd);
    const say = (amount: number) => (limit.unit === 'usd' ? formatUsd(amount) : String(amount));
    return {
      owner,
      name: ownerName,
      unit: limit.unit,
      per: sayWindow(limit.window),
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
  { limits, targets }: Explanation,
  overLimit: Explanation['refused'],
): Explanation['refused'] {
  try {
    authorise(key, model);
    if (targets.length === 0) throw noTarget(model);
  } catch (thrown) {
    const { kind, message } = toGatewayError(thrown);
    return { kind, message };
  }
  const refused = refusalBy(limits);
  if (refused !== undefined) return refused;
  if (targets.every(({ passed_over }) => passed_over !== undefined))
    return overLimit ?? { kind: 'unsupported', message: targets[0]!.passed_over! };
  return undefined;
}

function refusalBy(limits: readonly ExplainedLimit[]): Explanation['refused'] {
  const limit = limits.find(({ refuses }) => refuses);
  if (limit === undefined) return undefined;
  const kind = limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limited';
  const message = `The ${limit.owner} "${limit.name}" has ${limit.used} used and ${limit.reserved} held of ${limit.max} ${limit.unit}; this call needs ${limit.needed}.`;
  return { kind, message };
}
