/** What lies below a route. */
import type { Route } from './route.ts';
import type { Target } from './snapshot.ts';

/** All routes right below, in the order in which they are written. */
export function childrenOf(route: Route): readonly Route[] {
  switch (route.type) {
    case 'target':
      return [];
    case 'split':
      return route.children.map(({ route: child }) => child);
    case 'when':
      return [
        ...route.cases.map(({ route: child }) => child),
        ...(route.otherwise === undefined ? [] : [route.otherwise]),
      ];
    case 'mirror':
      return [...route.children, route.shadow];
    default:
      return route.children;
  }
}

/** Every target of a route, each once, in the order in which they are written. Shadows answer nobody: they do not count. */
export function targetsOf(route: Route): Target[] {
  const targets = new Map<string, Target>();
  const visit = (node: Route): void => {
    if (node.type === 'target') targets.set(node.target.id, node.target);
    else (node.type === 'mirror' ? node.children : childrenOf(node)).forEach(visit);
  };
  visit(route);
  return [...targets.values()];
}
