/** The plan of one call: a route's targets one after another, for as long as another attempt makes sense. */
import type { Route, Target } from '../config/snapshot.ts';
import type { GatewayError } from '../core/error.ts';
import { firstHealthy, order, type View } from './strategies.ts';

export interface Plan {
  /**
   * The target to try next; undefined when the call has its answer, failed for good, or nothing is left to try.
   * Health is looked at now, so that what one attempt found out about a provider counts for the next.
   */
  next(): Target | undefined;
  /** How the attempt at `target` ended, once it has no other key to try. */
  report(target: Target, outcome: GatewayError | 'ok'): void;
}

/** However many targets a route has, a client does not wait for more than this. */
export const maxAttempts = 8;

/** Walks `route` for one call: each target once, those that cool down behind those that are healthy. */
export function plan(route: Route, view: View): Plan {
  const left = route.type === 'target' ? [route.target] : listTargets(route, view);
  let attempts = 0;
  let over = false;
  return {
    next() {
      if (over || left.length === 0 || attempts === maxAttempts) return undefined;
      attempts++;
      return left.splice(firstHealthy(left, view), 1)[0];
    },
    report(_target, outcome) {
      over ||= outcome === 'ok' || !outcome.retry;
    },
  };
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
