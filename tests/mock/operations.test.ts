/** What the mock does beside chat, as official clients and their forms see it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI, { toFile } from 'openai';
import { audioLength } from '../../src/wire/audio.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';

let fake: FakeProvider;
let client: OpenAI;

beforeAll(async () => {
  fake = await startFakeProvider({ key: 'secret' });
  client = new OpenAI({ apiKey: 'secret', baseURL: fake.base, maxRetries: 0 });
});

afterAll(() => fake.stop());

describe('embeddings', () => {
  test('depend on the text alone and have length 1, in either form', async () => {
    const ask = (encoding_format: 'float' | 'base64') =>
      client.embeddings.create({ model: 'echo', input: ['a', 'b', 'a'], dimensions: 16, encoding_format });
    const [floats, packed] = await Promise.all([ask('float'), ask('base64')]);
    const [a, b, again] = floats.data.map(({ embedding }) => embedding);
    expect(again).toEqual(a!);
    expect(b).not.toEqual(a!);
    expect(Math.hypot(...a!)).toBeCloseTo(1);
    const bytes = Buffer.from(packed.data[0]!.embedding as unknown as string, 'base64');
    expect(bytes.length).toBe(64);
    expect(bytes.readFloatLE(0)).toBeCloseTo(a![0]!);
  });

  test('tell tokens as the name says', async () => {
    const { usage } = await client.embeddings.create({ model: 'echo:input=77', input: 'x' });
    expect(usage.prompt_tokens).toBe(77);
    expect((await client.embeddings.create({ model: 'no-usage', input: 'x' })).usage).toBeUndefined();
  });
});

test('speech is a wave file as long as its text takes', async () => {
  const speech = await client.audio.speech.create({ model: 'echo', input: 'x'.repeat(50), voice: 'alloy' });
  const wav = new Uint8Array(await speech.arrayBuffer());
  expect(audioLength(wav)).toEqual({ ms: 3000, exact: true });
  const { usage, text } = await client.audio.transcriptions.create({
    model: 'echo',
    file: await toFile(wav, 'ä.wav'),
  });
  expect(text).toBe(`[audio ä.wav ${wav.length} bytes]`);
  expect(usage).toEqual({ type: 'duration', seconds: 3 });
});

test('forms are kept byte for byte', async () => {
  const bytes = new Uint8Array(1000).map((_, i) => i & 255);
  await client.images.edit({ model: 'echo', prompt: 'Zoë', image: await toFile(bytes, 'a.png') });
  const { model, text, path } = fake.requests.at(-1)!;
  expect([model, path]).toEqual(['echo', '/v1/images/edits']);
  expect(Buffer.from(text, 'latin1').includes(Buffer.from(bytes))).toBe(true);
});

describe('faults', () => {
  test('are those of the name', async () => {
    const error = await client.embeddings
      .create({ model: 'status:429,retry_after=3', input: 'x' })
      .catch((thrown: unknown) => thrown as InstanceType<typeof OpenAI.APIError>);
    expect(error).toMatchObject({ status: 429 });
    const cut = await client.audio.speech.create({ model: 'cut', input: 'Hello', voice: 'alloy' });
    expect(await cut.arrayBuffer().catch((thrown: unknown) => thrown)).toBeInstanceOf(Error);
    const started = performance.now();
    await client.moderations.create({ model: 'delay:100ms', input: 'x' });
    expect(performance.now() - started).toBeGreaterThan(90);
  });

  test('a model that is missing, a wrong method and a wrong key are refused', async () => {
    const post = (body: string, key = 'secret', method = 'POST') =>
      fetch(`${fake.base}/embeddings`, {
        method,
        headers: { authorization: `Bearer ${key}` },
        ...(method === 'POST' && { body }),
      });
    expect((await post('{}')).status).toBe(400);
    expect((await post('nonsense')).status).toBe(400);
    expect((await post('{"model":"echo"}', 'wrong')).status).toBe(401);
    expect((await post('', 'secret', 'GET')).status).toBe(405);
  });
});
