/** Which of a provider's dialects a call is made in. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  for (const model of ['gpt-5', 'gpt-5.6', 'gpt-4.1-mini']) provider.script(model, 'echo');
  gateway = await startGateway(`
providers:
  openai: { url: "${provider.base}", key: up }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const tools = [{ type: 'function' as const, function: { name: 'look', parameters: { type: 'object' } } }];
const messages = [{ role: 'user' as const, content: 'Hello' }];

test('in the client’s own, where the model takes all of it there', async () => {
  await gateway.openai.chat.completions.create({ model: 'openai/gpt-5.6', messages });
  expect(provider.requests.at(-1)?.path).toBe('/v1/chat/completions');
  await gateway.openai.chat.completions.create({ model: 'openai/gpt-4.1-mini', messages, tools });
  expect(provider.requests.at(-1)?.path).toBe('/v1/chat/completions');
});

test('in another, where the model takes tools there only; the client hears its own', async () => {
  provider.script('gpt-5.6', 'tool');
  const { choices } = await gateway.openai.chat.completions.create({
    model: 'openai/gpt-5.6',
    messages,
    tools,
  });
  expect(provider.requests.at(-1)?.path).toBe('/v1/responses');
  expect(choices[0]?.message.tool_calls).toMatchObject([{ function: { name: 'look' } }]);
  expect(choices[0]?.finish_reason).toBe('tool_calls');
});

test('in the preferred one, where it does not speak the client’s', async () => {
  const ask = { max_tokens: 20, messages };
  await gateway.anthropic.messages.create({ ...ask, model: 'openai/gpt-5' });
  expect(provider.requests.at(-1)?.path).toBe('/v1/responses');
  await gateway.anthropic.messages.create({ ...ask, model: 'openai/gpt-4.1-mini' });
  expect(provider.requests.at(-1)?.path).toBe('/v1/chat/completions');
});
