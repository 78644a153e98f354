/** Cohere's client as a witness of what a recording says. */
import { CohereClientV2 } from 'cohere-ai';
import { type Ask, hello } from './client.ts';
import { choiceOf, type Understood, usageOf } from './understood.ts';

interface CohereCall {
  function?: { name?: string; arguments?: string };
}
interface CohereUsage {
  tokens?: { inputTokens?: number; outputTokens?: number };
  cachedTokens?: number;
}

export function askCohere(url: string): Ask {
  const client = new CohereClientV2({ token: 'none', environment: url, maxRetries: 0 });
  return async ({ model, stream }) => {
    const ask = { model, messages: [{ role: 'user' as const, content: hello }] };
    if (stream) return foldCohere(await Array.fromAsync(await client.chatStream(ask)));
    const { message, finishReason, usage } = await client.chat(ask);
    const parts = message.content ?? [];
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
    const thought = parts.map((part) => (part.type === 'thinking' ? part.thinking : '')).join('');
    // What older models thought before they called tools.
    return understandCohere(
      { text, thought: thought + (message.toolPlan ?? '') },
      message.toolCalls ?? [],
      finishReason,
      usage,
    );
  };
}

type CohereEvent = CohereStream extends AsyncIterable<infer Event> ? Event : never;
type CohereStream = Awaited<ReturnType<CohereClientV2['chatStream']>>;

function foldCohere(events: readonly CohereEvent[]): Understood {
  let text = '';
  let thought = '';
  const calls: { function: { name: string; arguments: string } }[] = [];
  let stop: string | undefined;
  let usage: CohereUsage | undefined;
  for (const event of events) {
    if (event.type === 'content-start' || event.type === 'content-delta') {
      text += event.delta?.message?.content?.text ?? '';
      thought += event.delta?.message?.content?.thinking ?? '';
    } else if (event.type === 'tool-plan-delta') {
      thought += event.delta?.message?.toolPlan ?? '';
    } else if (event.type === 'tool-call-start') {
      const { name = '', arguments: input = '' } = event.delta?.message?.toolCalls?.function ?? {};
      calls.push({ function: { name, arguments: input } });
    } else if (event.type === 'tool-call-delta') {
      calls.at(-1)!.function.arguments += event.delta?.message?.toolCalls?.function?.arguments ?? '';
    } else if (event.type === 'message-end') {
      stop = event.delta?.finishReason;
      usage = event.delta?.usage;
    }
  }
  return understandCohere({ text, thought }, calls, stop, usage);
}

function understandCohere(
  said: { text: string; thought: string },
  calls: readonly CohereCall[],
  stop: string | undefined,
  usage: CohereUsage | undefined,
): Understood {
  const told = calls.map((call) => ({ name: call.function?.name ?? '', input: call.function?.arguments }));
  const { inputTokens, outputTokens } = usage?.tokens ?? {};
  return {
    choices: [choiceOf({ ...said, calls: told, stop })],
    usage: usageOf(inputTokens, usage?.cachedTokens, outputTokens),
  };
}
