/** Vercel's `ai` over its adapters of the vendors, asking for an answer that is recorded. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateText, jsonSchema, type LanguageModel, streamText, tool } from 'ai';
import type { DialectName } from '../../src/core/chat.ts';
import { anything, type Client, hello, type Wish } from './client.ts';
import { choiceOf, type Understood, usageOf } from './understood.ts';

/** A client of each dialect that there is an adapter for, all of them asking at `url`. */
export function aiClients(url: string, apiKey: string): Client[] {
  const openai = createOpenAI({ apiKey, baseURL: `${url}/v1` });
  const anthropic = createAnthropic({ apiKey, baseURL: `${url}/v1` });
  const google = createGoogleGenerativeAI({ apiKey, baseURL: `${url}/v1beta` });
  return [
    { ...aiClient('@ai-sdk/openai (chat)', 'openai-chat', (model) => openai.chat(model)), thoughtless: true },
    aiClient('@ai-sdk/openai (responses)', 'openai-responses', (model) => openai.responses(model)),
    aiClient('@ai-sdk/anthropic', 'anthropic-messages', (model) => anthropic(model)),
    aiClient('@ai-sdk/google', 'gemini', (model) => google(model)),
  ];
}

function aiClient(name: string, dialect: DialectName, modelOf: (model: string) => LanguageModel): Client {
  return {
    name,
    dialect,
    choices: 1,
    error: APICallError,
    async ask(wish) {
      const options = {
        model: modelOf(wish.model),
        prompt: hello,
        maxRetries: 0,
        maxOutputTokens: 100,
        tools: toolsOf(wish),
      };
      return understand(wish.stream ? await gather(options) : await generateText(options));
    },
  };
}

/** What fails within a stream is told by an event; all that was promised then fails for want of it. */
async function gather(options: Parameters<typeof streamText>[0]): Promise<Generated> {
  let failure: unknown;
  const { text, reasoningText, toolCalls, finishReason, usage } = streamText({
    ...options,
    onError: ({ error }) => {
      failure ??= error;
    },
  });
  const promised = [text, reasoningText, toolCalls, finishReason, usage] as const;
  await Promise.allSettled(promised);
  if (failure !== undefined) throw failure;
  const [said, thought, called, why, used] = await Promise.all(promised);
  return { text: said, reasoningText: thought, toolCalls: called, finishReason: why, usage: used };
}

const toolsOf = ({ tools }: Wish) =>
  Object.fromEntries(tools.map((name) => [name, tool({ inputSchema: jsonSchema(anything) })]));

interface Generated {
  text: string;
  reasoningText: string | undefined;
  toolCalls: readonly { toolName: string; input: unknown; providerExecuted?: boolean }[];
  finishReason: string;
  usage: {
    inputTokens: number | undefined;
    inputTokenDetails: { cacheReadTokens: number | undefined };
    outputTokens: number | undefined;
  };
}

function understand({ text, reasoningText, toolCalls, finishReason, usage }: Generated): Understood {
  const calls = toolCalls
    .filter(({ providerExecuted }) => !providerExecuted)
    .map(({ toolName, input }) => ({ name: toolName, input }));
  return {
    choices: [choiceOf({ text, thought: reasoningText, calls, stop: finishReason })],
    usage: usageOf(usage.inputTokens, usage.inputTokenDetails.cacheReadTokens, usage.outputTokens),
  };
}
