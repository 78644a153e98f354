/** Operations beside chat where the provider speaks OpenAI's shapes: bytes pass as they are, but for the model's name. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { toFile } from 'openai';
import { utf8 } from '../../src/wire/bytes.ts';
import { boundaryOf, scanParts } from '../../src/wire/multipart.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { type Asked, type FakeHost, startHost } from './host.ts';

let host: FakeHost;
let gateway: TestGateway;

beforeAll(async () => {
  host = startHost();
  gateway = await startGateway(`
body_limit: 8mb
providers:
  oa: { speaks: openai-chat, url: "${host.url}/v1", key: up-key }
  responses: { speaks: openai-responses, url: "${host.url}/v1", key: up-key }
  azure: { url: "${host.url}", key: az }
  azure-old: { like: azure, url: "${host.url}", key: az, api_version: 2024-10-21 }
  apim: { speaks: openai-chat, url: "${host.url}/apim/{model}?api-version=1", key: sub, auth: api-key }
models: { embed: oa/text-embedding-3-small, picture: oa/gpt-image-1, voice: oa/tts-1, ear: oa/whisper-1 }
`);
});

afterAll(async () => {
  await gateway.stop();
  await host.stop();
});

beforeEach(() => {
  host.requests.length = 0;
});

const answer = (body: unknown): void => {
  host.answer = () => Response.json(body);
};

/** Fields and files of a form that reached the provider. */
function formOf({ headers, bytes }: Asked): Record<string, string | Uint8Array> {
  const parts = scanParts(bytes, boundaryOf(headers.get('content-type') ?? '')!);
  return Object.fromEntries(
    parts.map(({ name, filename, start, end }) => [
      name,
      filename === undefined ? utf8(bytes, start, end) : new Uint8Array(bytes.slice(start, end)),
    ]),
  );
}

const vector = { object: 'embedding', index: 0, embedding: [0.25, -0.5] };
const vectors = {
  object: 'list',
  data: [vector],
  model: 'text-embedding-3-small',
  usage: { prompt_tokens: 5, total_tokens: 5 },
};

describe('embeddings', () => {
  test('the SDK asks for base64 by itself and gets its vectors', async () => {
    const floats = Buffer.from(Float32Array.from([0.25, -0.5]).buffer).toString('base64');
    answer({ ...vectors, data: [{ ...vector, embedding: floats }] });
    const { data, usage } = await gateway.openai.embeddings.create({ model: 'embed', input: 'Hello' });
    expect(data[0]?.embedding).toEqual([0.25, -0.5]);
    expect(usage.total_tokens).toBe(5);
    const { path, body, headers } = host.last();
    expect(path).toBe('/v1/embeddings');
    expect(headers.get('authorization')).toBe('Bearer up-key');
    expect(body).toEqual({ model: 'text-embedding-3-small', input: 'Hello', encoding_format: 'base64' });
  });

  test.each([
    ['a text', 'Hello'],
    ['texts', ['Hello', 'World']],
    ['token ids', [1, 2, 3]],
    ['lists of token ids', [[1, 2], [3]]],
  ])('%s pass as they are', async (_, input) => {
    answer(vectors);
    const response = await gateway.post('/v1/embeddings', {
      model: 'embed',
      input,
      dimensions: 2,
      user: 'u',
    });
    expect(await response.json()).toEqual(vectors);
    expect(host.last().body).toEqual({ model: 'text-embedding-3-small', input, dimensions: 2, user: 'u' });
  });

  test('every byte but those of the model is the client’s, every byte of the answer the provider’s', async () => {
    const sent = '{"input" : "x",\n "seed": 9033012299842426000,"model":"embed"}';
    const text =
      '{"data":[{"embedding":[1.000,2e0]}], "id":9033012299842426001 , "usage":{"prompt_tokens":1}}';
    host.answer = () => new Response(text, { headers: { 'content-type': 'application/json' } });
    const response = await gateway.post('/v1/embeddings', sent);
    expect(utf8(host.last().bytes)).toBe(sent.replace('"embed"', '"text-embedding-3-small"'));
    expect(await response.text()).toBe(text);
    expect(response.headers.get('x-sluice-target')).toBe('oa/text-embedding-3-small');
    expect(response.headers.get('x-request-id')).toBeTruthy();
  });

  test('megabytes of vectors pass', async () => {
    const data = Array.from({ length: 1000 }, (_, index) => ({
      index,
      embedding: Array.from({ length: 256 }, (_, i) => i / 1000),
    }));
    answer({ object: 'list', data, usage: { prompt_tokens: 4321, total_tokens: 4321 } });
    const response = await gateway.post('/v1/embeddings', { model: 'embed', input: ['x'] });
    expect((await response.json()) as unknown).toMatchObject({ data });
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ operation: 'embeddings', input: 4321, estimated: 0 });
  });
});

describe('where it is asked', () => {
  test.each([
    ['responses/text-embedding-3-small', '/v1/embeddings', 'authorization', 'Bearer up-key'],
    ['azure/text-embedding-3-small', '/openai/v1/embeddings', 'api-key', 'az'],
    [
      'azure-old/my-embeddings',
      '/openai/deployments/my-embeddings/embeddings?api-version=2024-10-21',
      'api-key',
      'az',
    ],
    ['apim/e5', '/apim/e5/embeddings?api-version=1', 'api-key', 'sub'],
  ])('%s at %s', async (model, path, header, secret) => {
    answer(vectors);
    expect((await gateway.post('/v1/embeddings', { model, input: 'x' })).status).toBe(200);
    expect(host.last().path).toBe(path);
    expect(host.last().headers.get(header)).toBe(secret);
  });

  test('forms go to the same places', async () => {
    answer({ text: 'Hi.' });
    const file = await toFile(new Uint8Array([1, 2, 3]), 'a.mp3');
    await gateway.openai.audio.transcriptions.create({ model: 'azure-old/whisper', file });
    expect(host.last().path).toBe('/openai/deployments/whisper/audio/transcriptions?api-version=2024-10-21');
    expect(formOf(host.last())).toMatchObject({ model: 'whisper', file: new Uint8Array([1, 2, 3]) });
  });
});

describe('images', () => {
  const image = { created: 1, data: [{ b64_json: 'aGk=' }] };

  test('are made', async () => {
    answer(image);
    const made = await gateway.openai.images.generate({
      model: 'picture',
      prompt: 'A cat',
      n: 1,
      size: '1024x1024',
    });
    expect(made.data?.[0]?.b64_json).toBe('aGk=');
    expect(host.last()).toMatchObject({
      path: '/v1/images/generations',
      body: { model: 'gpt-image-1', prompt: 'A cat', n: 1, size: '1024x1024' },
    });
  });

  test('are edited, several at once, in a form whose files are not touched', async () => {
    answer(image);
    const bytes = new Uint8Array(300_000).map((_, i) => (i * 13) & 255);
    await gateway.openai.images.edit({
      model: 'picture',
      prompt: 'Größer',
      image: [await toFile(bytes, 'one.png', { type: 'image/png' }), await toFile(bytes, 'two.png')],
    });
    expect(host.last().path).toBe('/v1/images/edits');
    expect(formOf(host.last())).toMatchObject({ model: 'gpt-image-1', prompt: 'Größer', 'image[]': bytes });
  });

  test('are edited by references in JSON, too', async () => {
    answer(image);
    const body = { model: 'picture', prompt: 'x', images: [{ file_id: 'file-1' }] };
    expect((await gateway.post('/v1/images/edits', body)).status).toBe(200);
    expect(host.last().body).toEqual({ ...body, model: 'gpt-image-1' });
  });

  test('are varied', async () => {
    answer(image);
    await gateway.openai.images.createVariation({
      model: 'picture',
      image: await toFile(new Uint8Array(9), 'a.png'),
    });
    expect(host.last().path).toBe('/v1/images/variations');
    expect(formOf(host.last())).toMatchObject({ model: 'gpt-image-1' });
  });

  test('come in parts as events, byte for byte', async () => {
    const usage = {
      total_tokens: 120,
      input_tokens: 20,
      output_tokens: 100,
      input_tokens_details: { text_tokens: 20, image_tokens: 0 },
    };
    const events =
      `event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"${'A'.repeat(200_000)}","partial_image_index":0}\n\n` +
      `event: image_generation.completed\ndata: ${JSON.stringify({ type: 'image_generation.completed', b64_json: 'QQ==', usage })}\n\n`;
    host.answer = () => new Response(events, { headers: { 'content-type': 'text/event-stream' } });
    const stream = await gateway.openai.images.generate({
      model: 'picture',
      prompt: 'x',
      stream: true,
      partial_images: 1,
    });
    expect((await Array.fromAsync(stream)).map(({ type }) => type)).toEqual([
      'image_generation.partial_image',
      'image_generation.completed',
    ]);
    const response = await gateway.post('/v1/images/generations', {
      model: 'picture',
      prompt: 'x',
      stream: true,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toBe(events);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ stream: 1, input: 20, output: 100, estimated: 0, outcome: 'ok' });
  });
});

describe('speech', () => {
  test('is passed on as it comes, before it is all there', async () => {
    const parts = [Buffer.alloc(4000, 1), Buffer.alloc(5000, 2), Buffer.alloc(1, 3), Buffer.alloc(6000, 4)];
    const { promise: heard, resolve: hear } = Promise.withResolvers<void>();
    host.answer = () =>
      new Response(
        (async function* () {
          yield parts[0]!;
          await heard;
          yield* parts.slice(1);
        })() as unknown as ReadableStream,
        { headers: { 'content-type': 'audio/mpeg' } },
      );
    const response = await gateway.openai.audio.speech.create({
      model: 'voice',
      input: 'Hello',
      voice: 'alloy',
    });
    expect(response.headers.get('content-type')).toBe('audio/mpeg');
    const reader = response.body!.getReader();
    const got: Uint8Array[] = [];
    got.push((await reader.read()).value!);
    hear();
    for (let part = await reader.read(); !part.done; part = await reader.read()) got.push(part.value);
    expect(Buffer.concat(got)).toEqual(Buffer.concat(parts));
    expect(host.last()).toMatchObject({
      path: '/v1/audio/speech',
      body: { model: 'tts-1', input: 'Hello', voice: 'alloy' },
    });
  });

  test('comes as events where that is asked for', async () => {
    const events =
      'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n' +
      'data: {"type":"speech.audio.done","usage":{"input_tokens":7,"output_tokens":90,"total_tokens":97}}\n\n';
    host.answer = () => new Response(events, { headers: { 'content-type': 'text/event-stream' } });
    const response = await gateway.openai.audio.speech.create({
      model: 'oa/gpt-4o-mini-tts',
      input: 'Hello',
      voice: 'alloy',
      stream_format: 'sse',
    });
    expect(await response.text()).toBe(events);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ operation: 'speech', stream: 1, input: 7, output: 90, audio_output: 90 });
  });
});

describe('transcription', () => {
  const bytes = new Uint8Array(5_000_000).map((_, i) => (i * 31) & 255);

  test('of a large file: its bytes are not touched', async () => {
    answer({ text: 'Hello.' });
    const { text } = await gateway.openai.audio.transcriptions.create({
      model: 'ear',
      file: await toFile(bytes, 'long.mp3', { type: 'audio/mpeg' }),
      language: 'en',
      timestamp_granularities: ['word', 'segment'],
    });
    expect(text).toBe('Hello.');
    const form = formOf(host.last());
    expect(form).toMatchObject({ model: 'whisper-1', language: 'en' });
    expect(Buffer.compare(form.file as Uint8Array, bytes)).toBe(0);
    expect(host.last().headers.get('content-length')).toBe(String(host.last().bytes.length));
  });

  test.each([
    ['text', 'text/plain; charset=utf-8', 'Hello.\n'],
    ['srt', 'text/plain; charset=utf-8', '1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n'],
    ['vtt', 'text/vtt', 'WEBVTT\n\n00:00.000 --> 00:01.000\nHello.\n'],
  ] as const)('as %s is no JSON, and passes as it is', async (format, type, text) => {
    host.answer = () => new Response(text, { headers: { 'content-type': type } });
    const file = await toFile(new Uint8Array(100), 'a.wav');
    const said = await gateway.openai.audio.transcriptions.create({
      model: 'ear',
      file,
      response_format: format as 'text',
    });
    expect(said).toBe(text);
    expect(formOf(host.last())).toMatchObject({ response_format: format });
  });

  test('comes as events where that is asked for', async () => {
    const usage = {
      type: 'tokens',
      input_tokens: 14,
      input_token_details: { text_tokens: 4, audio_tokens: 10 },
      output_tokens: 3,
      total_tokens: 17,
    };
    const events = [
      { type: 'transcript.text.delta', delta: 'Hel' },
      { type: 'transcript.text.delta', delta: 'lo' },
      { type: 'transcript.text.done', text: 'Hello', usage },
    ];
    const text = `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;
    host.answer = () =>
      new Response(text, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
    const stream = await gateway.openai.audio.transcriptions.create({
      model: 'oa/gpt-4o-transcribe',
      file: await toFile(new Uint8Array(100), 'a.wav'),
      stream: true,
    });
    expect((await Array.fromAsync(stream)).map(({ type }): string => type)).toEqual(
      events.map(({ type }) => type),
    );
    expect(formOf(host.last())).toMatchObject({ model: 'gpt-4o-transcribe', stream: 'true' });
    const rows = await gateway.attempts();
    expect(rows.find(({ target }) => target === 'oa/gpt-4o-transcribe')).toMatchObject({
      operation: 'transcriptions',
      stream: 1,
      input: 14,
      audio_input: 10,
      output: 3,
      estimated: 0,
    });
  });

  test('into English is an operation of its own', async () => {
    answer({ text: 'Hello.' });
    await gateway.openai.audio.translations.create({
      model: 'ear',
      file: await toFile(new Uint8Array(9), 'a.mp3'),
    });
    expect(host.last().path).toBe('/v1/audio/translations');
    const rows = await gateway.attempts();
    expect(rows.some(({ operation }) => operation === 'translations')).toBe(true);
  });
});

test('moderation passes, texts and images alike', async () => {
  const results = [{ flagged: false, categories: {}, category_scores: {} }];
  answer({ id: 'modr-1', model: 'omni-moderation-latest', results });
  const input = [
    { type: 'text' as const, text: 'Hi' },
    { type: 'image_url' as const, image_url: { url: 'https://x/y' } },
  ];
  const judged = await gateway.openai.moderations.create({ model: 'oa/omni-moderation-latest', input });
  expect(judged.results).toEqual(results as never);
  expect(host.last()).toMatchObject({
    path: '/v1/moderations',
    body: { model: 'omni-moderation-latest', input },
  });
});

test('rerank passes in the shape that hosts of open models share', async () => {
  const ranked = {
    model: 'm',
    results: [{ index: 1, relevance_score: 0.9, document: { text: 'b' } }],
    usage: { total_tokens: 12 },
  };
  answer(ranked);
  const body = { query: 'q', documents: ['a', { text: 'b' }], top_n: 1, return_documents: true };
  const response = await gateway.post('/v1/rerank', { model: 'oa/bge-reranker', ...body });
  expect(await response.json()).toEqual(ranked);
  expect(host.last()).toMatchObject({ path: '/v1/rerank', body: { model: 'bge-reranker', ...body } });
  const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
  expect(row).toMatchObject({ operation: 'rerank', input: 12, estimated: 0 });
});

test('the mock answers all of them', async () => {
  const mock = await startGateway('providers: { mock: {} }');
  try {
    const { openai } = mock;
    const { data } = await openai.embeddings.create({ model: 'mock/echo', input: ['a', 'b'], dimensions: 4 });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([4, 4]);
    const drawn = await openai.images.generate({ model: 'mock/echo', prompt: 'x', n: 2 });
    expect(drawn.data?.map(({ b64_json }) => b64_json!.slice(0, 8))).toEqual(['iVBORw0K', 'iVBORw0K']);
    const speech = await openai.audio.speech.create({ model: 'mock/echo', input: 'hi', voice: 'alloy' });
    const wav = new Uint8Array(await speech.arrayBuffer());
    const file = await toFile(wav, 'hi.wav');
    const { text } = await openai.audio.transcriptions.create({ model: 'mock/echo', file });
    expect(text).toBe(`[audio hi.wav ${wav.length} bytes]`);
    const { results } = await openai.moderations.create({ model: 'mock/echo', input: ['fine', 'flagged'] });
    expect(results.map(({ flagged }) => flagged)).toEqual([false, true]);
    const ranked = await mock.post('/v1/rerank', {
      model: 'mock/echo',
      query: 'big cat',
      documents: ['dog', 'a big cat'],
    });
    expect(await ranked.json()).toMatchObject({ results: [{ index: 1, relevance_score: 1 }, { index: 0 }] });
    const usage = await mock.usage('operation');
    expect(usage.map(({ operation }) => operation).sort()).toEqual([
      'embeddings',
      'images',
      'moderations',
      'rerank',
      'speech',
      'transcriptions',
    ]);
    expect(usage.every(({ unpriced }) => unpriced === 0)).toBe(true);
  } finally {
    await mock.stop();
  }
});
