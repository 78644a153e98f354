/** Writes the mock's answers on the wire of OpenAI Chat Completions. */
import type { Ask } from './ask.ts';
import type { Behaviour } from './behaviour.ts';
import { cutText, type Part, type Plan, type Tokens } from './plan.ts';

/** What every answer carries, whatever it says. */
export interface Envelope {
  id: string;
  model: string;
  /** Seconds since 1970. */
  created: number;
}

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

function writeUsage(usage: Tokens): object {
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

/** The body of a whole answer. */
export function wholeOpenai(envelope: Envelope, plan: Plan, ask: Ask, behaviour: Behaviour): object {
  const message = writeMessage(plan.parts, memberOf(behaviour));
  const finish_reason = finishReason(plan, ask);
  const choices = Array.from({ length: ask.n }, (_, index) => ({
    index,
    message,
    logprobs: null,
    finish_reason,
  }));
  const { id, created, model } = envelope;
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices,
    ...(plan.usage && { usage: writeUsage(plan.usage) }),
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

/** A streamed answer as framed events, the terminator included. */
export function streamOpenai(envelope: Envelope, plan: Plan, ask: Ask, behaviour: Behaviour): string[] {
  const events: string[] = [];
  const head = `data: ${JSON.stringify({
    id: envelope.id,
    object: 'chat.completion.chunk',
    created: envelope.created,
    model: envelope.model,
    service_tier: 'default',
  }).slice(0, -1)},"choices":`;
  const tail = ask.streamUsage ? ',"usage":null}\n\n' : '}\n\n';
  for (let index = 0; index < ask.n; index++) {
    const chunk = (delta: object, finish: string | null = null): void => {
      const choice = { index, delta, logprobs: null, finish_reason: finish };
      events.push(`${head}[${JSON.stringify(choice)}]${tail}`);
    };
    const plainText = plan.parts.every((part) => part.type === 'text');
    chunk({ role: 'assistant', content: plainText ? '' : null, refusal: null });
    for (const delta of deltas(plan, memberOf(behaviour))) chunk(delta);
    chunk({}, finishReason(plan, ask));
  }
  if (ask.streamUsage && plan.usage) {
    events.push(`${head}[],"usage":${JSON.stringify(writeUsage(plan.usage))}}\n\n`);
  }
  events.push('data: [DONE]\n\n');
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
