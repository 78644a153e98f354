/** The mock on the wire of OpenAI's legacy Completions: text in, text out. */
import type { JsonObject } from '../../core/json.ts';
import { type Ask, hear, newAsk, refuse, textsOf } from '../ask.ts';
import { cutText, type Plan } from '../plan.ts';
import { openai } from '../voices/openai.ts';
import { type Event, type Given, type Turn, unnamed, type Wire } from '../wire.ts';
import { writeChatUsage } from './openai-chat.ts';
import { readCount, readLimit } from './openai-chat-ask.ts';

export const openaiCompletions: Wire = {
  keys: ['authorization', 'api-key'],
  ids: { answer: 'cmpl-', call: 'call_' },
  voice: openai,
  ask: readCompletion,
  whole: ({ id, created, model, plan, ask }) => {
    const text = (ask.body.echo === true ? ask.text : '') + textOf(plan);
    const choices = Array.from({ length: ask.n }, (_, index) => choiceOf(index, text, finishReason(plan)));
    const usage = plan.usage && { usage: writeChatUsage(plan.usage) };
    return { id, object: 'text_completion', created, model, choices, ...usage };
  },
  events: writeEvents,
};

/** Several prompts are answered as one. */
function readCompletion(body: JsonObject, given: Given): Ask {
  const model = given.model ?? body.model;
  if (typeof model !== 'string' || model === '') refuse('you must provide a model parameter');
  const ask = newAsk(body, model, body.stream === true);
  hear(ask, 'user', textsOf(body.prompt).join('\n'));
  ask.stop = textsOf(body.stop);
  ask.n = readCount(body.n);
  const options = body.stream_options as JsonObject | undefined;
  ask.streamUsage = options?.include_usage === true;
  // Unlike its successors it has a limit of its own, and a small one.
  ask.maxTokens = readLimit(body.max_tokens) ?? 16;
  return ask;
}

/** It knows no reasoning, no calls and no refusals but as text. */
function textOf({ parts }: Plan): string {
  return parts.map((part) => (part.type === 'text' || part.type === 'refusal' ? part.text : '')).join('');
}

function finishReason({ stop }: Plan): string {
  return stop === 'length' ? 'length' : 'stop';
}

function choiceOf(index: number, text: string, finish_reason: string | null): object {
  return { text, index, logprobs: null, finish_reason };
}

function writeEvents({ id, created, model, plan, ask }: Turn): Event[] {
  const chunk = (choices: object[]): object => ({ id, object: 'text_completion', created, choices, model });
  const events: Event[] = [];
  for (let index = 0; index < ask.n; index++) {
    const texts = cutText(textOf(plan), plan.pieceLength);
    if (ask.body.echo === true) texts.unshift(ask.text);
    for (const text of texts) events.push(unnamed(chunk([choiceOf(index, text, null)])));
    events.push(unnamed(chunk([choiceOf(index, '', finishReason(plan))])));
  }
  if (ask.streamUsage && plan.usage) {
    events.push(unnamed({ ...chunk([]), usage: writeChatUsage(plan.usage) }));
  }
  events.push({ name: '', data: '[DONE]' });
  return events;
}
