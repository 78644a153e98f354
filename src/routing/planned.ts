/** What strategies thought of their children when a call's plan was made, kept as one short text. */
import type { Route, Strategy } from '../config/route.ts';
import { type PlannedRoute, type PlannedStrategy, type PlannedTarget, scoreUnits } from '../core/explain.ts';
import type { Moment } from './moment.ts';
import type { Trace } from './plan.ts';

/** Routes and targets that are written down: more than a call would try. */
const mostRoutes = 16;
/** Longest text, in UTF-16 units. */
const mostChars = 1100;
const mostNameChars = 100;

/** Whether anything is chosen below: a target, and what has no other beside it, explain themselves. */
export function chooses(route: Route): boolean {
  if (route.type === 'target') return false;
  if (route.type === 'when' || route.children.length > 1) return true;
  const only = route.children[0];
  return only !== undefined && chooses('route' in only ? only.route : only);
}

/** Listens while a plan is made, and then tells. */
export class Thoughts {
  /** In the order in which the plan walks the route. */
  private readonly heard: Parameters<Trace>[] = [];
  readonly trace: Trace = (...traced) => {
    this.heard.push(traced);
  };

  /** JSON of a PlannedRoute, at the moment of the plan. A long route is cut, and says how much of it is missing. */
  write(moment: Moment): string {
    for (let most = mostRoutes; ; most >>= 1) {
      const text = JSON.stringify(new Drawing(this.heard, moment, most).drawStrategy(undefined));
      if (text.length <= mostChars || most === 0) return text;
    }
  }
}

/** Walks the route as the plan did. */
class Drawing {
  private at = 0;

  constructor(
    private readonly heard: readonly Parameters<Trace>[],
    private readonly moment: Moment,
    private left: number,
  ) {}

  drawStrategy(keptAbove: string | undefined): PlannedStrategy {
    const [node, ordered, scores, bond] = this.heard[this.at++]!;
    const kept = bond?.kept ?? keptAbove;
    const of: PlannedRoute[] = [];
    const drawn: PlannedStrategy = { by: node.type, of };
    for (const child of ordered) {
      // Once something is left out, so is all that comes behind: the walk need not find its way back.
      if (this.left-- <= 0) break;
      const score = scoreUnits[node.type] === undefined ? undefined : scores.get(child);
      of.push(this.drawChild(child, kept, score, caseOf(node, child)));
    }
    if (of.length < ordered.length) drawn.more = ordered.length - of.length;
    return drawn;
  }

  private drawChild(
    child: Route,
    kept: string | undefined,
    score: number | undefined,
    rule: number | undefined,
  ): PlannedRoute {
    let drawn: PlannedStrategy | PlannedTarget;
    if (child.type === 'target') {
      const { target } = child;
      const to = target.id.slice(0, mostNameChars);
      const isWell = this.moment.sight.isHealthy(target, this.moment.nowMs);
      if (isWell && target.id !== kept && score === undefined && rule === undefined) return to;
      drawn = { to };
      if (!isWell) drawn.unwell = 1;
      if (target.id === kept) drawn.kept = 1;
    } else drawn = this.drawStrategy(kept);
    if (score !== undefined && Math.abs(score) < Infinity) drawn.score = Math.round(score * 100) / 100;
    if (rule !== undefined) drawn.case = rule;
    return drawn;
  }
}

/** Its place among the conditions, from 1; they themselves are the configuration's, and may be long. */
function caseOf(node: Strategy, child: Route): number | undefined {
  if (node.type !== 'when') return undefined;
  const at = node.cases.findIndex(({ route }) => route === child);
  return at < 0 ? undefined : at + 1;
}
