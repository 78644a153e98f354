/** Identifiers that sort by time and are unique across processes without asking anybody. */
import { randomBytes } from 'node:crypto';

const node = randomBytes(5).toString('hex');
let lastMs = 0;
let sequence = 0;
let stamp = '';

/**
 * A call's id, also its `x-request-id`: `<time in base 36><sequence within the millisecond><random of this process>`,
 * 22 characters of [0-9a-z]. Ids of one process are strictly increasing, also when the clock steps back.
 */
export function newCallId(): string {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    sequence = 0;
    stamp = now.toString(36).padStart(9, '0');
  }
  return `${stamp}${(sequence++).toString(36).padStart(3, '0')}${node}`;
}

/** A short random id for things made inside answers (tool calls, messages): `prefix` + 24 characters of [0-9a-f]. */
export function randomId(prefix: string): string {
  return prefix + randomBytes(12).toString('hex');
}
