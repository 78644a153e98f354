/** Routes of the configuration as trees of targets. */
import type { ErrorKind } from '../core/error.ts';
import { compileLimit } from './compile-limit.ts';
import { parseCondition } from './condition.ts';
import type { Route, RouteOptions } from './route.ts';
import { failures, type RouteConfig, type StrategyConfig } from './route-schema.ts';
import type { Target } from './snapshot.ts';
import { compileTimeouts } from './timeout-schema.ts';

/** Calls of which `fastest` learns how fast others are, and `hedge` asks two, where the configuration does not say. */
const usualShare = 0.05;

/**
 * A name that is a configured model's is an alias: it stands for that model's own route.
 * @param targetOf throws where there is no such target.
 */
export function compileModels(
  configured: Readonly<Record<string, RouteConfig>>,
  targetOf: (id: string) => Target,
): ReadonlyMap<string, Route> {
  const models = new Map<string, Route>();
  const compileRoute = (route: RouteConfig, model: string): Route => {
    if (typeof route !== 'string')
      return compileStrategy(route, model, (below) => compileRoute(below, model));
    return Object.hasOwn(configured, route) ? modelNamed(route) : { type: 'target', target: targetOf(route) };
  };
  const modelNamed = (name: string): Route => {
    const route = models.get(name) ?? compileRoute(configured[name]!, name);
    models.set(name, route);
    return route;
  };
  for (const name of Object.keys(configured)) modelNamed(name);
  return models;
}

function compileStrategy(said: StrategyConfig, model: string, compile: (route: RouteConfig) => Route): Route {
  const options = optionsOf(said);
  const steady = said.steady ?? true;
  const all = (routes: readonly RouteConfig[]) => routes.map(compile);
  if (said.fallback !== undefined)
    return {
      type: 'fallback',
      children: all(said.fallback),
      on: kindsOf(said.on),
      off: kindsOf(said.off),
      options,
    };
  if (said.split !== undefined) {
    const children = said.split.map(({ to, weight }) => ({ weight, route: compile(to) }));
    return { type: 'split', children, steady, options };
  }
  if (said.cheapest !== undefined) return { type: 'cheapest', children: all(said.cheapest), steady, options };
  if (said.fastest !== undefined) {
    const explore = said.explore ?? usualShare;
    return { type: 'fastest', children: all(said.fastest), explore, steady, options };
  }
  if (said.least_busy !== undefined)
    return { type: 'least_busy', children: all(said.least_busy), steady, options };
  if (said.sticky !== undefined)
    return { type: 'sticky', by: said.by ?? 'conversation', children: all(said.sticky), options };
  if (said.when !== undefined) {
    const cases = said.when.map((rule) => ({
      source: rule.if,
      test: parseCondition(rule.if),
      route: compile(rule.to),
    }));
    const otherwise = said.else === undefined ? undefined : compile(said.else);
    return { type: 'when', cases, otherwise, options };
  }
  if (said.hedge !== undefined) {
    const share = said.share ?? usualShare;
    return { type: 'hedge', children: all(said.hedge), afterMs: said.after, share, options };
  }
  return {
    type: 'mirror',
    model,
    children: [compile(said.mirror!)],
    shadow: compile(said.to!),
    share: said.share ?? 1,
    budget: said.budget && compileLimit(said.budget),
    options,
  };
}

function kindsOf(names: StrategyConfig['on']): ReadonlySet<ErrorKind> | undefined {
  return names && new Set(names.map((name) => failures[name]));
}

/** Undefined where nothing is said: most routes want nothing in particular. */
function optionsOf({ timeout, resume, retries }: StrategyConfig): RouteOptions | undefined {
  if (timeout === undefined && resume === undefined && retries === undefined) return undefined;
  return { timeouts: timeout && compileTimeouts(timeout), resume, retries };
}
