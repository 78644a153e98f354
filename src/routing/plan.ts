/** The plan of one call: a route's targets one after another, for as long as another attempt makes sense. */
import type { Fallback, Hedge, Mirror, Route, RouteOptions, Sticky, Strategy } from '../config/route.ts';
import type { Target } from '../config/snapshot.ts';
import type { GatewayError } from '../core/error.ts';
import type { Moment } from './moment.ts';
import { hasRepeats } from './repeats.ts';
import { Rounds } from './rounds.ts';
import { type Bond, bindsBy, bondBy } from './strategies/conversation.ts';
import { order } from './strategies/index.ts';

/** However many targets a route has, a client does not wait for more than this. */
export const maxAttempts = 8;

/** A target in its place in the route. */
export interface Step {
  readonly target: Target;
  /** The strategies it was reached through, the nearest first. */
  readonly trail: Trail | undefined;
  /** Its place among the children of the nearest, as that one wants them: from 1. */
  readonly rank: number;
  readonly options: RouteOptions;
}

export interface Trail {
  readonly node: Strategy;
  /** What the strategy wants answered by one target. */
  readonly bond: Bond | undefined;
  /** Its place among the children of the one above. */
  readonly rank: number;
  readonly above: Trail | undefined;
}

/** Told, while a plan is made, in what order each strategy wants its children, and why. */
export type Trace = (
  node: Strategy,
  ordered: readonly Route[],
  scores: ReadonlyMap<Route, number>,
  bond: Bond | undefined,
) => void;

const noOptions: RouteOptions = {};

/** Walks `route` for one call: each target once, those that cool down behind those that are healthy. */
export class Plan {
  /** Who is to be asked the same, unseen. */
  readonly shadows: Mirror[] = [];
  private left: Step[];
  private last: Step | undefined;
  private attempts = 0;
  private over = false;
  private boundBy: Sticky['by'] | undefined;
  private bond: Bond | undefined;
  /** Where the route wants its targets asked more than once. */
  private rounds: Rounds | undefined;

  constructor(
    route: Route,
    private readonly moment: Moment,
    private readonly trace?: Trace,
  ) {
    this.left =
      route.type === 'target'
        ? [{ target: route.target, trail: undefined, rank: 1, options: noOptions }]
        : this.listSteps(route);
  }

  /**
   * The target to try next; undefined when the call has its answer, failed for good, or nothing is left to try.
   * Health is looked at now, so that what one attempt found out about a provider counts for the next.
   */
  next(nowMs: number): Step | undefined {
    this.moment.nowMs = nowMs;
    const { left } = this;
    if (this.over || left.length === 0 || this.attempts === maxAttempts) return undefined;
    return this.take(left.length === 1 ? 0 : this.bestOf(left));
  }

  /** The strategy that wants another asked beside the last, where that one is late; undefined: none does. */
  get hedge(): Hedge | undefined {
    const { last } = this;
    for (let trail = last?.trail; trail !== undefined; trail = trail.above) {
      if (trail.node.type !== 'hedge') continue;
      for (const step of this.left) if (meeting(last!, step) === trail.node) return trail.node;
    }
    return undefined;
  }

  /** The one to ask beside the last; undefined where none that the route would have beside it is fit. */
  nextBeside(nowMs: number): Step | undefined {
    this.moment.nowMs = nowMs;
    const { last } = this;
    if (last === undefined || this.over || this.attempts === maxAttempts) return undefined;
    const { sight, ask } = this.moment;
    const at = this.left.findIndex(
      (step) =>
        meeting(last, step)?.type === 'hedge' &&
        holds(step.target, ask.inputTokens) &&
        sight.isHealthy(step.target, nowMs),
    );
    return at < 0 ? undefined : this.take(at);
  }

  /** `step` was not asked after all: it is the next again, and `before` the last. */
  putBack(step: Step, before: Step): void {
    this.attempts--;
    this.left.unshift(step);
    if (this.last === step) this.last = before;
  }

  /** The last one is not asked: it was no attempt. */
  passOver(): void {
    this.attempts--;
  }

  /** The shadows of an answer: those on the way to the target that gave it. */
  shadowsOf(step: Step): readonly Mirror[] {
    if (this.shadows.length === 0) return this.shadows;
    return this.shadows.filter((mirror) => isBelow(step, mirror));
  }

  /** The plan by which a shadow is asked, made of the same moment. */
  planShadow({ shadow }: Mirror): Plan {
    return new Plan(shadow, { ...this.moment });
  }

  /** Targets that were not taken yet, in their order. */
  get rest(): readonly Step[] {
    return this.left;
  }

  private take(at: number): Step {
    this.attempts++;
    this.last = this.left.splice(at, 1)[0]!;
    return this.last;
  }

  /** Whether another target would be tried, were this how the attempt at that of `asked` failed. */
  goesOnAfter(error: GatewayError, asked: Step | undefined): boolean {
    return this.attempts < maxAttempts && this.left.some((step) => mayFollow(asked, step, error));
  }

  /** How the attempts at the last target, or at that of `asked`, ended, once it has no other key to try. */
  report(outcome: GatewayError | 'ok', asked = this.last): void {
    if (outcome === 'ok') {
      this.over = true;
      return;
    }
    // Who could not be asked is no attempt; the call counts those that it made.
    if (outcome.kind === 'unsupported') this.passOver();
    this.left = this.left.filter((step) => mayFollow(asked, step, outcome));
    this.rounds?.failed(asked, outcome);
  }

  /**
   * Begins anew with those that failed for the moment, where the route wants that and none is left.
   * @returns how long to wait before `next`, in ms; undefined: it was the last time.
   */
  startOver(): number | undefined {
    if (this.over || this.attempts === maxAttempts) return undefined;
    const round = this.rounds?.next(this.moment.random);
    if (round === undefined) return undefined;
    this.left = round.steps;
    return round.pauseMs;
  }

  /** The first that is healthy and large enough, or comes nearest to it. */
  private bestOf(steps: readonly Step[]): number {
    const { sight, nowMs, ask } = this.moment;
    let best = 0;
    let bestRank = -1;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i]!;
      // What is too small fails for certain, what cools down only perhaps: ejection never empties a group.
      const rank =
        (holds(step.target, ask.inputTokens) ? 2 : 0) + (sight.isHealthy(step.target, nowMs) ? 1 : 0);
      if (rank === 3) return i;
      if (rank > bestRank) {
        best = i;
        bestRank = rank;
      }
    }
    return best;
  }

  /** The leaves in the order the strategies want them, each target once. */
  private listSteps(route: Route): Step[] {
    const steps: Step[] = [];
    const seen = hasRepeats(route) ? new Set<string>() : undefined;
    let again = false;
    const visit = (node: Route, trail: Trail | undefined, rank: number, options: RouteOptions): void => {
      if (node.type === 'target') {
        // A target named again keeps its first place.
        if (seen?.has(node.target.id) !== true) steps.push({ target: node.target, trail, rank, options });
        if (options.retries !== undefined) again = true;
        seen?.add(node.target.id);
        return;
      }
      if (node.type === 'mirror' && this.moment.random() < node.share) this.shadows.push(node);
      const bond = this.bondOf(node);
      const below = { node, bond, rank, above: trail };
      const own = node.options === undefined ? options : merge(options, node.options);
      let place = 1;
      for (const child of this.ordered(node, bond)) visit(child, below, place++, own);
    };
    visit(route, undefined, 1, noOptions);
    if (again) this.rounds = new Rounds([...steps]);
    return steps;
  }

  /** The same for all strategies that want the same answered by one target. */
  private bondOf(node: Strategy): Bond | undefined {
    const by = bindsBy(node);
    if (by === undefined) return undefined;
    if (by !== this.boundBy) {
      this.boundBy = by;
      this.bond = bondBy(by, this.moment);
    }
    return this.bond;
  }

  private ordered(node: Strategy, bond: Bond | undefined): readonly Route[] {
    if (this.trace === undefined) return order(node, this.moment, bond);
    const scores = new Map<Route, number>();
    const ordered = order(node, this.moment, bond, (child, score) => scores.set(child, score));
    this.trace(node, ordered, scores, bond);
    return ordered;
  }
}

/** The way a step was reached by: `fallback 2 > cheapest 1 kept`, where it answered the conversation before. */
export function describeWay({ target, trail, rank }: Step): string {
  let way = '';
  let place = rank;
  for (let at = trail; at !== undefined; at = at.above) {
    const kept = at.bond?.kept === target.id ? ' kept' : '';
    way = `${at.node.type} ${place}${kept}${way === '' ? '' : ' > '}${way}`;
    place = at.rank;
  }
  return way;
}

/** Whether a target's context is not known to be too small. */
export function holds({ contextLength }: Target, tokens: number): boolean {
  return contextLength === undefined || tokens <= contextLength;
}

/** Whether, after the failure of one, another may be tried: as the strategy says in which their ways part. */
function mayFollow(failed: Step | undefined, step: Step, error: GatewayError): boolean {
  // Whom a request cannot be put to has failed at nothing.
  if (error.kind === 'unsupported' || failed === undefined) return error.retry;
  if (error.kind === 'context_length' && !isLarger(step.target, failed.target)) return false;
  const node = meeting(failed, step);
  return node?.type === 'fallback' ? goesOn(node, error) : error.retry;
}

function goesOn({ on, off }: Fallback, error: GatewayError): boolean {
  return (on === undefined ? error.retry : on.has(error.kind)) && off?.has(error.kind) !== true;
}

/** False only where both are known. */
function isLarger(target: Target, than: Target): boolean {
  const [size, known] = [target.contextLength, than.contextLength];
  return size === undefined || known === undefined || size > known;
}

function isBelow(step: Step, node: Strategy): boolean {
  for (let trail = step.trail; trail !== undefined; trail = trail.above) {
    if (trail.node === node) return true;
  }
  return false;
}

/** The nearest strategy above both. */
function meeting(one: Step, other: Step): Strategy | undefined {
  for (let trail = one.trail; trail !== undefined; trail = trail.above) {
    for (let beside = other.trail; beside !== undefined; beside = beside.above) {
      if (beside === trail) return trail.node;
    }
  }
  return undefined;
}

function merge(outer: RouteOptions, inner: RouteOptions): RouteOptions {
  return {
    timeouts: inner.timeouts === undefined ? outer.timeouts : { ...outer.timeouts, ...inner.timeouts },
    resume: inner.resume ?? outer.resume,
    retries: inner.retries ?? outer.retries,
  };
}
