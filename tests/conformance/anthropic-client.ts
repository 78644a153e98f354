/** Anthropic's official client, and what it understands. */
import Anthropic from '@anthropic-ai/sdk';
import { anything, type Client, hello } from './client.ts';
import { choiceOf, type Understood, usageOf } from './understood.ts';

export const messagesClient = (client: Anthropic): Client => ({
  name: '@anthropic-ai/sdk',
  dialect: 'anthropic-messages',
  choices: 1,
  error: Anthropic.APIError,
  ask: async ({ model, stream, tools }) => {
    const ask = {
      model,
      messages: [{ role: 'user' as const, content: hello }],
      max_tokens: 2000,
      thinking: { type: 'enabled' as const, budget_tokens: 1024 },
      ...(tools.length > 0 && { tools: tools.map((name) => ({ name, input_schema: anything })) }),
    };
    return understandMessage(
      stream ? await client.messages.stream(ask).finalMessage() : await client.messages.create(ask),
    );
  },
});

function understandMessage({ content, usage, stop_reason, stop_details }: Anthropic.Message): Understood {
  const cached = usage.cache_read_input_tokens ?? 0;
  const calls = content.flatMap((block) =>
    block.type === 'tool_use' ? [{ name: block.name, input: block.input }] : [],
  );
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  const thought = content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join('');
  return {
    choices: [choiceOf({ text, thought, refusal: stop_details?.explanation, calls, stop: stop_reason })],
    usage: usageOf(
      usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + cached,
      cached,
      usage.output_tokens,
    ),
  };
}
