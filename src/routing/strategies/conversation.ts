/** What belongs together, who answered it last, and numbers by lot that are the same for it every time. */
import type { Route, Sticky, Strategy } from '../../config/route.ts';
import type { Ask, Moment } from '../moment.ts';

/** Name of what a request is a part of, one key's apart from another's; '' where nothing tells. */
export function conversationOf(by: Sticky['by'], ask: Ask): string {
  const { session, endUser, key } = ask;
  switch (by) {
    case 'session':
      return session === '' ? '' : `s:${key.id}:${session}`;
    case 'user':
      return endUser === '' ? '' : `u:${key.id}:${endUser}`;
    case 'prompt':
      return ask.prompt === '' ? '' : `p:${key.id}:${ask.prompt}`;
    case 'conversation':
      return conversationOf('session', ask) || conversationOf('prompt', ask);
  }
}

/** Numbers in [0, 1), the same sequence for the same name, on every node. */
export function randomOf(name: string): () => number {
  let state = Bun.hash.wyhash(name);
  return () => {
    state = Bun.hash.wyhash(name, state);
    return Number(state >> 11n) / 2 ** 53;
  };
}

/** What a strategy wants answered by one target. */
export interface Bond {
  readonly name: string;
  /** Id of the target that answered it last; undefined: none that is known. */
  readonly kept: string | undefined;
}

/** Undefined where nothing tells what belongs together. A session that uses several models is one with each of them. */
export function bondBy(by: Sticky['by'], { ask, sight, nowMs }: Moment): Bond | undefined {
  const conversation = conversationOf(by, ask);
  if (conversation === '') return undefined;
  const name = `${ask.model}:${conversation}`;
  return { name, kept: sight.keptBy(name, nowMs) };
}

/** Undefined: the strategy wants nothing answered by one target. */
export function bindsBy(node: Strategy): Sticky['by'] | undefined {
  switch (node.type) {
    case 'sticky':
      return node.by;
    case 'cheapest':
    case 'fastest':
    case 'least_busy':
      return node.steady && node.children.length > 1 ? 'conversation' : undefined;
    default:
      return undefined;
  }
}

/** The child that is the target, or has it below. */
export function childWith(children: readonly Route[], id: string | undefined): Route | undefined {
  return id === undefined ? undefined : children.find((child) => contains(child, id));
}

function contains(route: Route, id: string): boolean {
  switch (route.type) {
    case 'target':
      return route.target.id === id;
    case 'split':
      return route.children.some((child) => contains(child.route, id));
    case 'when':
      return (
        route.cases.some((rule) => contains(rule.route, id)) ||
        (route.otherwise !== undefined && contains(route.otherwise, id))
      );
    default:
      return route.children.some((child) => contains(child, id));
  }
}
