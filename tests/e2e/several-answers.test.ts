/** n > 1 of targets that give one answer at a time: as many attempts, told as one answer. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway, twoProviders } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  provider.script('two', 'usage:input=10,output=5', 'usage:input=20,output=7');
  gateway = await startGateway(`${twoProviders(provider.base)}
  groq: { url: "${provider.base}", key: up }
models:
  second: { fallback: [an/second-fails, oa/echo] }
prices:
  an/two: { input: 1, output: 2 }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const messages = [{ role: 'user' as const, content: 'Hello' }];
const long = [{ role: 'user' as const, content: 'x '.repeat(500) }];
const create = (model: string, n: number, more: object = {}) =>
  gateway.openai.chat.completions.create({ model, messages, n, ...more }).withResponse();

describe('several answers', () => {
  test('come as the choices of one, each asked for and charged by itself', async () => {
    const { data, response } = await create('an/two', 2);
    expect(data.choices.map(({ index, finish_reason }) => [index, finish_reason])).toEqual([
      [0, 'stop'],
      [1, 'stop'],
    ]);
    expect(data.usage).toMatchObject({ prompt_tokens: 30, completion_tokens: 12 });
    expect(response.headers.get('x-sluice-attempts')).toBe('2');
    expect(response.headers.get('x-sluice-cost-usd')).toBe('0.000054');
    const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(rows.map(({ outcome, final }) => [outcome, final])).toEqual([
      ['ok', 0],
      ['ok', 1],
    ]);
    expect(rows.map(({ nano_usd }) => nano_usd).sort()).toEqual([20_000, 34_000]);
  });

  test('come in one stream, told apart by their choice', async () => {
    const stream = gateway.openai.chat.completions.stream({
      model: 'an/echo:chunks=5',
      messages,
      n: 3,
      stream_options: { include_usage: true },
    });
    const { choices, usage } = await stream.finalChatCompletion();
    expect(choices.map(({ message }) => message.content)).toEqual(['Hello', 'Hello', 'Hello']);
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    const [row] = (await gateway.attempts()).filter(({ target, stream: s }) => s && target.startsWith('an/'));
    expect(usage).toMatchObject({ prompt_tokens: 3 * row!.input, completion_tokens: 3 * row!.output });
  });

  test('are asked for one by one of a host that takes no n, in its own dialect', async () => {
    const before = provider.requests.length;
    const { data } = await create('groq/echo', 2);
    expect(data.choices).toHaveLength(2);
    const asked = provider.requests.slice(before);
    expect(asked).toHaveLength(2);
    for (const { body } of asked) expect(body?.n).toBeUndefined();
  });

  test('of a Gemini client are its candidates', async () => {
    const answer = await gateway.post('/v1beta/models/an%2Fecho:generateContent', {
      contents: [{ role: 'user', parts: [{ text: 'Hello' }] }],
      generationConfig: { candidateCount: 2 },
    });
    const { candidates } = (await answer.json()) as { candidates: { content: { parts: object[] } }[] };
    expect(candidates.map(({ content }) => content.parts)).toMatchObject([
      [{ text: 'Hello' }],
      [{ text: 'Hello' }],
    ]);
  });

  test('move on together when one of them fails', async () => {
    provider.script('second-fails', 'echo', 'status:500', 'echo');
    const { data, response } = await create('second', 3);
    expect(data.choices).toHaveLength(3);
    expect(response.headers.get('x-sluice-target')).toBe('oa/echo');
    const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(rows).toHaveLength(4);
    expect(rows.filter(({ final }) => final === 1)).toHaveLength(1);
    expect(rows.map(({ outcome }) => outcome)).toContain('upstream_unavailable');
  });

  test('end in an error when the stream of one of them is cut', async () => {
    provider.script('cut-one', 'echo:chunks=20,delay=5ms', 'echo:chunks=20,fault=cut,after=8');
    const { data } = await gateway.openai.chat.completions
      .create({ model: 'an/cut-one', messages: long, n: 2, stream: true })
      .withResponse();
    const heard: unknown = await (async () => {
      for await (const _ of data);
    })().catch((error: unknown) => error);
    expect(heard).toBeInstanceOf(Error);
  });

  test('are all given up when the client leaves, and each is settled once', async () => {
    const leave = new AbortController();
    const { data, response } = await gateway.openai.chat.completions
      .create(
        {
          model: 'an/echo:delay=20ms,chunks=500',
          messages: long,
          n: 2,
          stream: true,
        },
        { signal: leave.signal },
      )
      .withResponse();
    await data[Symbol.asyncIterator]().next();
    leave.abort();
    await provider.until(() => provider.mock.counters.aborted >= 2);
    const id = response.headers.get('x-request-id');
    for (let rows = await gateway.attemptsOf(id); rows.length < 2; rows = await gateway.attemptsOf(id))
      await Bun.sleep(10);
    const rows = await gateway.attemptsOf(id);
    expect(rows.map(({ outcome }) => outcome)).toEqual(['cancelled', 'cancelled']);
    expect(rows.filter(({ final }) => final === 1)).toHaveLength(1);
  });

  test('more than sixteen are refused', async () => {
    const heard: unknown = await create('an/echo', 17).catch((error: unknown) => error);
    expect(heard).toMatchObject({ status: 400, param: 'n' });
  });
});
