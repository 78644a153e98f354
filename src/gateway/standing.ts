/** What stands open of an answer that comes as events, so that it can end in good order wherever it is. */
import type { ChatEvent } from '../core/chat.ts';
import type { Usage } from '../core/usage.ts';

export class Standing {
  /** By choice: the blocks that are open; undefined: it has finished. */
  private readonly choices = new Map<number, Set<number> | undefined>();

  push(event: ChatEvent): void {
    if (event.type === 'block') {
      const open = this.choices.get(event.choice) ?? new Set();
      this.choices.set(event.choice, open.add(event.block));
    } else if (event.type === 'close') this.choices.get(event.choice)?.delete(event.block);
    else if (event.type === 'finish') this.choices.set(event.choice, undefined);
  }

  /** The events by which it ends here, at its limit of tokens. */
  *ending(usage: Usage): Generator<ChatEvent> {
    if (this.choices.size === 0) this.choices.set(0, new Set());
    for (const [choice, open] of this.choices) {
      if (open === undefined) continue;
      for (const block of open) yield { type: 'close', choice, block };
      yield { type: 'finish', choice, stop: 'length' };
    }
    yield { type: 'usage', usage };
    yield { type: 'end' };
  }
}
