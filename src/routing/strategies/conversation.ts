/** What belongs together, and numbers by lot that are the same for it every time. */
import type { Sticky } from '../../config/route.ts';
import type { Ask } from '../moment.ts';

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
