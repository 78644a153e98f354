/** A plan made to be looked at: by the very code that makes the plans of calls. */
import type { Route, Strategy } from '../config/route.ts';
import { childrenOf } from '../config/targets.ts';
import { GatewayError } from '../core/error.ts';
import { type ExplainedRoute, scoreUnits } from '../core/explain.ts';
import type { Moment } from './moment.ts';
import { Plan, type Step, type Trace } from './plan.ts';

/** How many targets are listed: more than a call would try. */
const maxListed = 100;

export interface ExplainedPlan {
  route: ExplainedRoute;
  /** In the order in which they would be tried if each failed for the moment. */
  steps: Step[];
}

/** @param canAsk whether the request can be put to the target of a step: else it is passed over. */
export function explainRoute(
  route: Route,
  moment: Moment,
  canAsk: (step: Step) => boolean = () => true,
): ExplainedPlan {
  const seen = new Map<Strategy, Parameters<Trace>>();
  const plan = new Plan(route, moment, (...traced) => seen.set(traced[0], traced));
  const steps: Step[] = [];
  const failed = new GatewayError('upstream_unavailable', 'It is supposed to fail.');
  const passedOver = new GatewayError('unsupported', 'It cannot be asked.');
  for (let step = plan.next(moment.nowMs); step !== undefined; step = plan.next(moment.nowMs)) {
    steps.push(step);
    plan.report(canAsk(step) ? failed : passedOver);
  }
  // Beyond what one call would try.
  steps.push(...plan.rest.slice(0, maxListed));
  return { route: draw(route, seen), steps };
}

function draw(route: Route, seen: ReadonlyMap<Strategy, Parameters<Trace>>): ExplainedRoute {
  if (route.type === 'target') return { type: 'target', target: route.target.id };
  const [, ordered = childrenOf(route), scores] = seen.get(route) ?? [];
  const unused = childrenOf(route).filter((child) => !ordered.includes(child));
  const unit = scoreUnits[route.type];
  const drawChild = (child: Route): ExplainedRoute => {
    const drawn = draw(child, seen);
    const score = scores?.get(child);
    if (score !== undefined && unit !== undefined) Object.assign(drawn, { score, unit });
    const rule = route.type === 'when' ? route.cases.find((each) => each.route === child) : undefined;
    if (rule !== undefined) drawn.if = rule.source;
    return drawn;
  };
  return {
    type: route.type,
    children: [
      ...ordered.map(drawChild),
      ...unused.map((child) => ({
        ...drawChild(child),
        [route.type === 'mirror' ? 'unseen' : 'unused']: true,
      })),
    ],
  };
}
