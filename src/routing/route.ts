/** The plan of one call: a route's targets one after another, for as long as another attempt makes sense. */
import type { Route, Target } from '../config/snapshot.ts';
import type { GatewayError } from '../core/error.ts';
import { firstHealthy, order, type View } from './strategies.ts';

/** However many targets a route has, a client does not wait for more than this. */
export const maxAttempts = 8;

/** Walks `route` for one call: each target once, those that cool down behind those that are healthy. */
export class Plan {
  private readonly left: Target[];
  private attempts = 0;
  private over = false;

  constructor(
    route: Route,
    private readonly view: View,
  ) {
    this.left = route.type === 'target' ? [route.target] : listTargets(route, view);
  }

  /**
   * The target to try next; undefined when the call has its answer, failed for good, or nothing is left to try.
   * Health is looked at now, so that what one attempt found out about a provider counts for the next.
   */
  next(nowMs: number): Target | undefined {
    this.view.nowMs = nowMs;
    const { left } = this;
    if (this.over || left.length === 0 || this.attempts === maxAttempts) return undefined;
    this.attempts++;
    return left.length === 1 ? left.pop() : left.splice(firstHealthy(left, this.view), 1)[0];
  }

  /** How the attempts at the last target ended, once it has no other key to try. */
  report(outcome: GatewayError | 'ok'): void {
    this.over ||= outcome === 'ok' || !outcome.retry;
  }
}

/** The leaves in the order the strategies want them, each target once. */
function listTargets(route: Route, view: View): Target[] {
  const targets = new Map<string, Target>();
  const visit = (node: Route) => {
    if (node.type !== 'target') order(node, view).forEach(visit);
    // A target named again keeps its first place.
    else targets.set(node.target.id, node.target);
  };
  visit(route);
  return [...targets.values()];
}

/** Every target of a route, each once, in the order in which they are written. */
export function targetsOf(route: Route): Target[] {
  const targets = new Map<string, Target>();
  const visit = (node: Route): void => {
    if (node.type === 'target') targets.set(node.target.id, node.target);
    else for (const child of node.children) visit('route' in child ? child.route : child);
  };
  visit(route);
  return [...targets.values()];
}
