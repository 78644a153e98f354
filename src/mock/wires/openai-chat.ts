/** Writes the mock's answers on the wire of OpenAI Chat Completions. */
import type { Ask } from '../ask.ts';
import type { Behaviour } from '../behaviour.ts';
import { cutText, type Part, type Plan, type Tokens } from '../plan.ts';
import { openai } from '../voices/openai.ts';
import type { Event, Turn, Wire } from '../wire.ts';
import { readChat } from './openai-chat-ask.ts';

export const openaiChat: Wire = {
  keys: ['authorization', 'api-key'],
  ids: { answer: 'chatcmpl-', call: 'call_' },
  voice: openai,
  ask: readChat,
  whole: writeWhole,
  events: writeEvents,
  listed: (models) => ({
    object: 'list',
    data: models.map((id) => ({ id, object: 'model', created: 1735689600, owned_by: 'mock' })),
  }),
};

/** `reasoning_content` is DeepSeek's word and that of most hosts; `member=reasoning` is the other one in use. */
function memberOf(behaviour: Behaviour): string {
  return behaviour.member ?? 'reasoning_content';
}

function finishReason(plan: Plan, ask: Ask): string {
  if (plan.stop === 'length') return 'length';
  // OpenAI reports `stop` when the call was forced by name.
  if (plan.stop === 'tool') return typeof ask.choice === 'object' ? 'stop' : 'tool_calls';
  return 'stop';
}

export function writeChatUsage(usage: Tokens): object {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: {
      cached_tokens: usage.cached,
      ...(usage.written > 0 && { cache_write_tokens: usage.written }),
      audio_tokens: 0,
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function writeWhole({ id, created, model, plan, ask, behaviour }: Turn): object {
  const message = writeMessage(plan.parts, memberOf(behaviour));
  const finish_reason = finishReason(plan, ask);
  const choices = Array.from({ length: ask.n }, (_, index) => ({
    index,
    message,
    logprobs: null,
    finish_reason,
  }));
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices,
    ...(plan.usage && { usage: writeChatUsage(plan.usage) }),
    service_tier: 'default',
  };
}

function writeMessage(parts: Part[], member: string): object {
  const message: Record<string, unknown> = { role: 'assistant', content: null, refusal: null };
  const calls: object[] = [];
  for (const part of parts) {
    if (part.type === 'text') message.content = part.text;
    else if (part.type === 'refusal') message.refusal = part.text;
    else if (part.type === 'reasoning') message[member] = part.text;
    else calls.push({ id: part.id, type: 'function', function: { name: part.name, arguments: part.input } });
  }
  if (parts.length === 0) message.content = '';
  if (calls.length > 0) message.tool_calls = calls;
  return { ...message, annotations: [] };
}

function writeEvents({ id, created, model, plan, ask, behaviour }: Turn): Event[] {
  const events: Event[] = [];
  const chunk = { id, object: 'chat.completion.chunk', created, model, service_tier: 'default' };
  // What all chunks share is written once: there may be a hundred thousand of them.
  const head = `${JSON.stringify(chunk).slice(0, -1)},"choices":`;
  const tail = ask.streamUsage ? ',"usage":null}' : '}';
  for (let index = 0; index < ask.n; index++) {
    const add = (delta: object, finish: string | null = null): void => {
      const choice = { index, delta, logprobs: null, finish_reason: finish };
      events.push({ name: '', data: `${head}[${JSON.stringify(choice)}]${tail}` });
    };
    const plainText = plan.parts.every((part) => part.type === 'text');
    add({ role: 'assistant', content: plainText ? '' : null, refusal: null });
    for (const delta of deltas(plan, memberOf(behaviour))) add(delta);
    add({}, finishReason(plan, ask));
  }
  if (ask.streamUsage && plan.usage) {
    events.push({ name: '', data: `${head}[],"usage":${JSON.stringify(writeChatUsage(plan.usage))}}` });
  }
  events.push({ name: '', data: '[DONE]' });
  return events;
}

function* deltas(plan: Plan, member: string): Generator<object> {
  let call = 0;
  for (const part of plan.parts) {
    if (part.type === 'tool-call') {
      const index = call++;
      const { id, name } = part;
      yield { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] };
      for (const piece of cutText(part.input, Math.min(plan.pieceLength, 8))) {
        yield { tool_calls: [{ index, function: { arguments: piece } }] };
      }
      continue;
    }
    const name = part.type === 'text' ? 'content' : part.type === 'refusal' ? 'refusal' : member;
    for (const piece of cutText(part.text, plan.pieceLength)) yield { [name]: piece };
  }
}
