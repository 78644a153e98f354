/** Counts what a provider did not count: streams that were cut, answers without usage. */
import type { ChatRequest } from '../core/chat.ts';
import type { Outcome } from '../core/record.ts';
import { emptyUsage, type Usage } from '../core/usage.ts';
import { utf8 } from '../wire/bytes.ts';
import type { Attempt } from './call.ts';
import type { Inbound } from './render.ts';

/** Text beyond this adds nothing to an estimate but time. */
export const maxChars = 1024 * 1024;

/** An answer whose text can be counted. */
interface Passed {
  text(): string;
}

/**
 * Settles with the provider's own count where it is final, at once. Otherwise the count is completed from the text
 * that passed and marked estimated: then the promise is to be waited for.
 */
export function settleCounted(
  attempt: Attempt,
  outcome: Outcome,
  usage: Usage | undefined,
  final: boolean,
  passed: Passed,
  inbound: Inbound,
): Promise<void> | undefined {
  if (usage === undefined || !final) return settleEstimated(attempt, outcome, usage, passed, inbound);
  attempt.settle(outcome, usage, false);
  return undefined;
}

async function settleEstimated(
  attempt: Attempt,
  outcome: Outcome,
  usage: Usage | undefined,
  passed: Passed,
  inbound: Inbound,
): Promise<void> {
  const { countTokens } = attempt.call.gateway;
  const counted = usage === undefined ? emptyUsage() : { ...usage };
  if (counted.input === 0)
    counted.input = await countTokens(safely(() => requestText(inbound.chat()), inbound.peek.body));
  counted.output = Math.max(
    counted.output,
    await countTokens(safely(() => passed.text()).slice(0, maxChars)),
  );
  attempt.settle(outcome, counted, true);
}

/** What passes is not always understood: counting it must not fail for that. */
function safely(read: () => string, otherwise?: Uint8Array): string {
  try {
    return read();
  } catch {
    return otherwise === undefined ? '' : utf8(otherwise, 0, Math.min(otherwise.length, maxChars));
  }
}

/** All that the model reads as text. */
function requestText(request: ChatRequest): string {
  let text = '';
  for (const message of request.messages) {
    for (const block of message.blocks) {
      if (text.length > maxChars) return text.slice(0, maxChars);
      if (block.type === 'text' || block.type === 'reasoning') text += `${block.text}\n`;
      else if (block.type === 'tool-call') text += `${block.name} ${block.input}\n`;
      else if (block.type === 'tool-result') {
        for (const inner of block.blocks) if (inner.type === 'text') text += `${inner.text}\n`;
      }
    }
  }
  if (request.tools !== undefined) text += JSON.stringify(request.tools);
  return text.slice(0, maxChars);
}
