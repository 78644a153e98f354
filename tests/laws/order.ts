/** The order in which the hub's events may come: see ChatEvent. */
import type { ChatEvent } from '../../src/core/chat.ts';

/** What is wrong with the order of these events; undefined when nothing is. */
export function orderFault(events: readonly ChatEvent[]): string | undefined {
  const blocks = new Map<string, 'open' | 'closed'>();
  const counts = new Map<number, number>();
  const finished = new Set<number>();
  let started = false;
  let over = false;
  for (let i = 0; i < events.length; i++) {
    const event = events[i]!;
    const fault = (what: string): string => `event ${i} (${event.type}) ${what}`;
    if (over) return fault('comes after the end');
    if (event.type === 'start') {
      if (started || i > 0) return fault('does not come first');
      started = true;
      continue;
    }
    if (event.type === 'error' || event.type === 'end') over = true;
    if (event.type === 'error') continue;
    if (!started) return fault('comes before the start');
    if (event.type === 'end') {
      if ([...blocks.values()].includes('open')) return fault('leaves a block open');
      for (const choice of counts.keys())
        if (!finished.has(choice)) return fault(`leaves choice ${choice} unfinished`);
    }
    if (event.type === 'end' || event.type === 'usage') continue;
    if (finished.has(event.choice)) return fault('comes after the finish of its choice');
    if (event.type === 'finish') {
      finished.add(event.choice);
      for (const [key, state] of blocks) {
        if (state === 'open' && key.startsWith(`${event.choice}:`)) return fault(`leaves block ${key} open`);
      }
      continue;
    }
    const key = `${event.choice}:${event.block}`;
    if (event.type === 'block') {
      const next = counts.get(event.choice) ?? 0;
      if (event.block !== next) return fault(`opens block ${key}, not ${next}`);
      counts.set(event.choice, next + 1);
      blocks.set(key, 'open');
      continue;
    }
    // Log-probabilities of a choice may come without any text of theirs.
    if (event.type === 'delta' && event.text === undefined && event.logprobs !== undefined) continue;
    if (blocks.get(key) !== 'open') return fault(`has no open block ${key}`);
    if (event.type === 'close') blocks.set(key, 'closed');
  }
  return undefined;
}
