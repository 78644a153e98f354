/** Waits for a while, but not for a client that has left. */
import type { Presence } from '../wire/http/server/messages.ts';
import type { Deadlines } from './deadlines.ts';

/** @returns whether the client is still there. */
export function pause(deadlines: Deadlines, lengthMs: number, client: Presence): Promise<boolean> {
  return new Promise((resolve) => {
    deadlines.add({
      deadlineMs: deadlines.now() + lengthMs,
      expire() {
        resolve(true);
        return true;
      },
      abandon: () => resolve(false),
      client,
    });
  });
}
