/** Answers that a client goes on from by id: kept by the gateway where the provider keeps none. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { relayOnly, startGateway, type TestGateway, twoProviders } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
let client: OpenAI;
let config: string;
const dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));

beforeAll(async () => {
  provider = await startFakeProvider();
  config = `${twoProviders(provider.base)}
  re: { speaks: openai-responses, url: "${provider.base}", key: up }
teams: { web: {}, other: {} }
keys:
  - { name: test, key: sk-test-key, team: web }
  - { name: colleague, key: sk-colleague, team: web }
  - { name: stranger, key: sk-stranger, team: other }
`;
  await start();
});

async function start(): Promise<void> {
  gateway = await startGateway(config, { dataDir });
  client = as('sk-test-key');
}

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const as = (apiKey: string): OpenAI => new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const messagesOf = (body: unknown): { role: string; content: unknown }[] =>
  (body as { messages: { role: string; content: unknown }[] }).messages;
/** The error a request ends in. */
const heard = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => 'no error',
    (error) => error,
  );
const lastBody = (): unknown => provider.requests.at(-1)?.body;

describe('an answer of a provider that keeps none', () => {
  test('can be gone on from, at another provider, without its instructions', async () => {
    const first = await client.responses.create({
      model: 'oa/echo',
      instructions: 'Be brief.',
      input: 'My name is Zoë.',
    });
    expect(first.id).toStartWith('resp_sluice');
    const second = await client.responses.create({
      model: 'an/echo',
      instructions: 'Be long.',
      previous_response_id: first.id,
      input: 'What is my name?',
    });
    expect(lastBody()).toMatchObject({ system: 'Be long.' });
    expect(messagesOf(lastBody())).toEqual([
      { role: 'user', content: 'My name is Zoë.' },
      { role: 'assistant', content: first.output_text },
      { role: 'user', content: 'What is my name?' },
    ]);
    expect(second.previous_response_id).toBe(first.id);
    const third = await client.responses.create({
      model: 'oa/echo',
      previous_response_id: second.id,
      input: 'Sure?',
    });
    expect(third.status).toBe('completed');
    expect(messagesOf(lastBody()).map(({ role }) => role)).toEqual([
      'user',
      'assistant',
      'user',
      'assistant',
      'user',
    ]);
  });

  test('can be referred to item by item', async () => {
    const first = await client.responses.create({ model: 'oa/echo', input: 'One.' });
    await client.responses.create({
      model: 'an/echo',
      input: [
        { role: 'user', content: 'One.' },
        { type: 'item_reference', id: first.output[0]!.id! },
        { role: 'user', content: 'Two.' },
      ],
    });
    expect(messagesOf(lastBody())).toEqual([
      { role: 'user', content: 'One.' },
      { role: 'assistant', content: first.output_text },
      { role: 'user', content: 'Two.' },
    ]);
  });

  test('is kept under the same id when it was streamed', async () => {
    const stream = client.responses.stream({ model: 'oa/echo', input: 'Streamed.' });
    const first = await stream.finalResponse();
    expect(first.id).toStartWith('resp_sluice');
    expect((await client.responses.retrieve(first.id)).output_text).toBe('Streamed.');
    await client.responses.create({ model: 'oa/echo', previous_response_id: first.id, input: 'More.' });
    expect(messagesOf(lastBody())).toHaveLength(3);
  });

  test('takes the result of its tool call', async () => {
    const tools: OpenAI.Responses.Tool[] = [
      { type: 'function', name: 'look', parameters: { type: 'object', properties: {} }, strict: false },
    ];
    const first = await client.responses.create({
      model: 'oa/tool',
      input: 'Look.',
      tools,
      tool_choice: 'required',
    });
    const call = first.output.find((item) => item.type === 'function_call')!;
    await client.responses.create({
      model: 'an/echo',
      tools,
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: 'Fog.' }],
    });
    const [, asked, told] = messagesOf(lastBody());
    expect(asked).toMatchObject({ role: 'assistant', content: [{ type: 'tool_use', name: 'look' }] });
    expect(told).toMatchObject({ role: 'user', content: [{ type: 'tool_result', content: 'Fog.' }] });
  });

  test('is there again after a restart, for its whole team', async () => {
    const first = await client.responses.create({ model: 'oa/echo', input: 'Remember this.' });
    await gateway.stop();
    await start();
    await as('sk-colleague').responses.create({
      model: 'oa/echo',
      previous_response_id: first.id,
      input: 'And?',
    });
    expect(messagesOf(lastBody())[0]).toMatchObject({ content: 'Remember this.' });
  });

  test('can be looked up, with what was asked, and deleted', async () => {
    const made = await client.responses.create({ model: 'oa/echo', input: 'Hello' });
    const found = await client.responses.retrieve(made.id);
    expect(found.output_text).toBe(made.output_text);
    expect(found).toMatchObject({ id: made.id, status: 'completed', usage: made.usage });
    const items = await client.responses.inputItems.list(made.id);
    expect(items.data).toMatchObject([{ role: 'user', content: [{ type: 'input_text', text: 'Hello' }] }]);
    await client.responses.delete(made.id);
    expect(await heard(client.responses.retrieve(made.id))).toBeInstanceOf(OpenAI.NotFoundError);
    const onward = client.responses.create({ model: 'oa/echo', previous_response_id: made.id, input: 'x' });
    expect(await heard(onward)).toMatchObject({ status: 400, code: 'previous_response_not_found' });
  });

  test('is nobody else’s', async () => {
    const made = await client.responses.create({ model: 'oa/echo', input: 'Secret' });
    const stranger = as('sk-stranger');
    expect(await heard(stranger.responses.retrieve(made.id))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(await heard(stranger.responses.delete(made.id))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(
      await heard(stranger.responses.create({ model: 'oa/echo', previous_response_id: made.id, input: 'x' })),
    ).toMatchObject({ code: 'previous_response_not_found', param: 'previous_response_id' });
    expect((await client.responses.retrieve(made.id)).id).toBe(made.id);
  });

  test('is not kept when the client says so', async () => {
    const made = await client.responses.create({ model: 'oa/echo', input: 'Forget this.', store: false });
    expect(await heard(client.responses.retrieve(made.id))).toBeInstanceOf(OpenAI.NotFoundError);
    expect(made.id).not.toStartWith('resp_sluice');
  });

  test('is not one that a provider keeps: its id says nothing to another', async () => {
    const onward = client.responses.create({
      model: 'oa/echo',
      previous_response_id: 'resp_123',
      input: 'x',
    });
    expect(await heard(onward)).toMatchObject({ status: 400, param: 'previous_response_id' });
  });
});

relayOnly('a provider that keeps its answers is asked by their ids', async () => {
  const made = await client.responses.create({ model: 're/echo', input: 'Hello' });
  expect(made.id).not.toStartWith('resp_sluice');
  await client.responses.create({ model: 're/echo', previous_response_id: made.id, input: 'More' });
  expect(lastBody()).toMatchObject({ previous_response_id: made.id, input: 'More' });
});

test('an answer kept here is told in full to a provider of the same dialect', async () => {
  const made = await client.responses.create({ model: 'oa/echo', input: 'Hello' });
  await client.responses.create({ model: 're/echo', previous_response_id: made.id, input: 'More' });
  const body = lastBody() as { input: { role: string }[]; previous_response_id?: string };
  expect(body.previous_response_id).toBeUndefined();
  expect(body.input.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
});
