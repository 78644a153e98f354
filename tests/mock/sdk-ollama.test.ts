/** Ollama's client understands the mock over a real socket. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Ollama } from 'ollama';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { called, failureOf, said, schema, thought } from './said.ts';

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider({ key: 'sk-mock' });
});
afterAll(() => fake.stop());

describe('Ollama', () => {
  const client = (): Ollama => new Ollama({ host: fake.url, headers: { authorization: 'Bearer sk-mock' } });
  const messages = [{ role: 'user', content: said }];
  const tools = [{ type: 'function', function: { name: 'weather', description: '', parameters: schema } }];

  test('text, thoughts and counts, whole and streamed', async () => {
    const answer = await client().chat({ model: 'reason:input=100,output=9', messages });
    expect(answer.message).toMatchObject({ content: said, thinking: thought });
    expect(answer).toMatchObject({ done_reason: 'stop', prompt_eval_count: 100, eval_count: 9 });
    expect(
      (await client().chat({ model: 'reason', messages, think: false })).message.thinking,
    ).toBeUndefined();
    const lines = await Array.fromAsync(
      await client().chat({ model: 'reason:input=100,output=9', messages, stream: true }),
    );
    expect(lines.map(({ message }) => message.content).join('')).toBe(said);
    expect(lines.map(({ message }) => message.thinking ?? '').join('')).toBe(thought);
    expect(lines.at(-1)).toMatchObject({ done: true, prompt_eval_count: 100, eval_count: 9 });
  });

  test('calls tools, in lines of their own, and hears their results', async () => {
    const lines = await Array.fromAsync(
      await client().chat({ model: 'tool:calls=2', messages, tools, stream: true }),
    );
    const calls = lines.flatMap(({ message }) => message.tool_calls ?? []);
    expect(calls.map((call) => call.function.arguments)).toEqual([called, called]);
    const turns = [
      ...messages,
      { role: 'assistant', content: '', tool_calls: calls },
      ...calls.map(() => ({ role: 'tool', content: 'sunny', tool_name: 'weather' })),
    ];
    expect((await client().chat({ model: 'tool', messages: turns, tools })).message.content).toBe(
      'sunny\nsunny',
    );
  });

  test('sees images, keeps formats, lists models and fails', async () => {
    const png = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1').toString('base64');
    const seen = await client().chat({
      model: 'echo',
      messages: [{ role: 'user', content: 'What?', images: [png] }],
    });
    expect(seen.message.content).toBe('What?\n[image image/png 8 bytes]');
    const shaped = await client().chat({ model: 'json', messages, format: schema });
    expect(JSON.parse(shaped.message.content)).toEqual({ city: said, days: 3 });
    expect((await client().list()).models.map(({ name }) => name)).toContain('echo');
    expect((await failureOf(client().chat({ model: 'llama9', messages }))).message).toInclude(
      "model 'llama9' not found",
    );
    const broken = client().chat({ model: 'error-event', messages, stream: true });
    expect((await failureOf(broken.then(Array.fromAsync))).message).toInclude('llama runner process');
  });
});
