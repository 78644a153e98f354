/** OpenAI's official client, in each of its vendor's dialects, and what it understands. */
import OpenAI from 'openai';
import { anything, type Client, hello } from './client.ts';
import { choiceOf, type Understood, usageOf } from './understood.ts';

export const chatClient = (client: OpenAI): Client => ({
  name: 'openai (chat)',
  dialect: 'openai-chat',
  choices: Number.POSITIVE_INFINITY,
  error: OpenAI.APIError,
  ask: async ({ model, stream, tools }) => {
    const ask = {
      model,
      messages: [{ role: 'user' as const, content: hello }],
      ...(tools.length > 0 && {
        tools: tools.map((name) => ({ type: 'function' as const, function: { name, parameters: anything } })),
      }),
    };
    if (!stream) return understandCompletion(await client.chat.completions.create(ask));
    const events = client.chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
    // The whole message keeps the last piece only of what it does not know.
    const thoughts: string[] = [];
    events.on('chunk', (chunk) => {
      for (const { index, delta } of chunk.choices)
        thoughts[index] = (thoughts[index] ?? '') + thoughtIn(delta);
    });
    return understandCompletion(await events.finalChatCompletion(), thoughts);
  },
});

/** Not in OpenAI's own dialect, but in that of most who speak it too. */
function thoughtIn(said: object | undefined): string {
  const { reasoning_content, reasoning } = (said ?? {}) as Record<string, unknown>;
  const thought = reasoning_content ?? reasoning;
  return typeof thought === 'string' ? thought : '';
}

function understandCompletion(
  { choices, usage }: OpenAI.ChatCompletion,
  thoughts?: readonly string[],
): Understood {
  return {
    // A host that blocked an answer leaves the message out.
    choices: choices.map(({ index, message, finish_reason }) => {
      const calls = (message?.tool_calls ?? []).map((call): { name: string; input: unknown } =>
        call.type === 'custom'
          ? { name: call.custom.name, input: { input: call.custom.input } }
          : { name: call.function.name, input: call.function.arguments },
      );
      const called = message?.function_call;
      if (called) calls.push({ name: called.name, input: called.arguments });
      return choiceOf({
        text: message?.content ?? '',
        thought: thoughts === undefined ? thoughtIn(message) : thoughts[index],
        refusal: message?.refusal,
        calls,
        stop: finish_reason,
      });
    }),
    usage: usageOf(
      usage?.prompt_tokens,
      usage?.prompt_tokens_details?.cached_tokens,
      usage?.completion_tokens,
    ),
  };
}

export const responsesClient = (client: OpenAI): Client => ({
  name: 'openai (responses)',
  dialect: 'openai-responses',
  choices: 1,
  error: OpenAI.APIError,
  ask: async ({ model, stream, tools }) => {
    const ask = {
      model,
      input: hello,
      reasoning: { summary: 'auto' as const },
      tools: tools.map((name) => ({
        type: 'function' as const,
        name,
        parameters: anything,
        strict: false,
      })),
    };
    return understandResponse(
      stream
        ? await client.responses.stream(ask).finalResponse()
        : await client.responses.create({ ...ask, stream: false }),
    );
  },
});

function understandResponse({ output, incomplete_details, usage }: OpenAI.Responses.Response): Understood {
  const parts = output.flatMap((item) => (item.type === 'message' ? item.content : []));
  const calls = output.flatMap((item): { name: string; input: unknown }[] => {
    if (item.type === 'function_call') return [{ name: item.name, input: item.arguments }];
    return item.type === 'custom_tool_call' ? [{ name: item.name, input: { input: item.input } }] : [];
  });
  const text = parts.map((part) => (part.type === 'output_text' ? part.text : '')).join('');
  const thought = output.map((item) => (item.type === 'reasoning' ? thoughtOf(item) : '')).join('');
  const refusal = parts.map((part) => (part.type === 'refusal' ? part.refusal : '')).join('');
  return {
    choices: [choiceOf({ text, thought, refusal, calls, stop: incomplete_details?.reason })],
    usage: usageOf(usage?.input_tokens, usage?.input_tokens_details?.cached_tokens, usage?.output_tokens),
  };
}

/** A summary of what was thought, or, from some, the thought itself. */
function thoughtOf({ summary, content = [] }: OpenAI.Responses.ResponseReasoningItem): string {
  return [...content, ...summary].map(({ text }) => text).join('');
}

export const completionsClient = (client: OpenAI): Client => ({
  name: 'openai (completions)',
  dialect: 'openai-completions',
  choices: Number.POSITIVE_INFINITY,
  textOnly: true,
  thoughtless: true,
  error: OpenAI.APIError,
  ask: async ({ model, stream }) => {
    const ask = { model, prompt: hello };
    if (!stream) return understandTexts([await client.completions.create(ask)]);
    const events = await client.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    return understandTexts(await Array.fromAsync(events));
  },
});

function understandTexts(chunks: readonly OpenAI.Completion[]): Understood {
  const pieces = chunks.flatMap(({ choices }) => choices);
  const usage = chunks.findLast((chunk) => chunk.usage != null)?.usage;
  const indices = [...new Set(pieces.map(({ index }) => index))].sort((a, b) => a - b);
  return {
    choices: indices.map((wanted) => {
      const own = pieces.filter(({ index }) => index === wanted);
      const stop = own.findLast(({ finish_reason }) => finish_reason !== null)?.finish_reason;
      return choiceOf({ text: own.map(({ text }) => text).join(''), calls: [], stop });
    }),
    usage: usageOf(
      usage?.prompt_tokens,
      usage?.prompt_tokens_details?.cached_tokens,
      usage?.completion_tokens,
    ),
  };
}
