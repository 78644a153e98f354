/** What a tool that failed gave back, for targets that have no mark for failure: the words have to say it. */
import type { Block } from '../core/chat.ts';

export function markFailure([first, ...others]: Block[]): Block[] {
  if (first?.type !== 'text') {
    const mark: Block = { type: 'text', text: 'Error' };
    return first === undefined ? [mark] : [mark, first, ...others];
  }
  return /^\W*error/i.test(first.text)
    ? [first, ...others]
    : [{ ...first, text: `Error: ${first.text}` }, ...others];
}
