/** Operations beside chat where the provider has words of its own: the exact requests it gets, and OpenAI's answers. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../src/core/json.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { type Asked, type FakeHost, startHost } from './host.ts';

let host: FakeHost;
let gateway: TestGateway;

beforeAll(async () => {
  host = startHost();
  const signed = 'access_key_id: AKID, secret_access_key: secret';
  gateway = await startGateway(`
providers:
  gemini: { url: "${host.url}/v1beta", key: AIza }
  vertex: { url: "${host.url}", project: p, location: us-central1, key: token, auth: bearer }
  cohere: { url: "${host.url}/v2", key: co }
  compatible: { speaks: { openai-chat: "${host.url}/compatibility/v1", cohere-v2: "${host.url}/v2" }, key: co }
  ol: { speaks: ollama, url: "${host.url}" }
  bedrock: { url: "${host.url}", region: us-east-1, ${signed} }
  an: { speaks: anthropic-messages, url: "${host.url}", key: a }
`);
});

afterAll(async () => {
  await gateway.stop();
  await host.stop();
});

beforeEach(() => {
  host.requests.length = 0;
  host.answer = undefined;
});

const embed = (model: string, more: object = {}) =>
  gateway.post('/v1/embeddings', { model, input: ['one', 'two'], ...more });

/** OpenAI's answer to two texts. */
const embedded = (model: string, tokens: number) => ({
  object: 'list',
  data: [
    { object: 'embedding', index: 0, embedding: [1, 0.5] },
    { object: 'embedding', index: 1, embedding: [0, -0.5] },
  ],
  model,
  usage: { prompt_tokens: tokens, total_tokens: tokens },
});

/** Answers each request by what `of` says of it. */
function answerBy(of: (asked: Asked) => unknown, headers: Record<string, string> = {}): void {
  host.answer = (asked) => Response.json(of(asked), { headers });
}

const vectorOf = (text: unknown): number[] => (text === 'one' ? [1, 0.5] : [0, -0.5]);
const asked = () => host.requests.map(({ path, body }) => [path, body] as const);

describe('Gemini', () => {
  test('embeds by batch', async () => {
    answerBy(() => ({
      embeddings: [{ values: [1, 0.5] }, { values: [0, -0.5] }],
      usageMetadata: { promptTokenCount: 4 },
    }));
    const response = await embed('gemini/gemini-embedding-001', {
      dimensions: 2,
      input_type: 'search_query',
      user: 'u',
    });
    expect(await response.json()).toEqual(embedded('gemini-embedding-001', 4));
    expect(response.headers.get('x-sluice-lost')).toBe('user');
    const request = (text: string) => ({
      model: 'models/gemini-embedding-001',
      content: { parts: [{ text }] },
      taskType: 'RETRIEVAL_QUERY',
      outputDimensionality: 2,
    });
    expect(asked()).toEqual([
      [
        '/v1beta/models/gemini-embedding-001:batchEmbedContents',
        { requests: [request('one'), request('two')] },
      ],
    ]);
    expect(host.last().headers.get('x-goog-api-key')).toBe('AIza');
  });

  test('in the form the SDK decodes by itself', async () => {
    answerBy(() => ({ embeddings: [{ values: [1, 0.5] }] }));
    const { data, usage } = await gateway.openai.embeddings.create({
      model: 'gemini/gemini-embedding-001',
      input: 'Hello, world',
    });
    expect(data[0]?.embedding).toEqual([1, 0.5]);
    // Where the host does not count, the gateway does.
    expect(usage.prompt_tokens).toBe(3);
    const [row] = (await gateway.attempts()).slice(-1);
    expect(row).toMatchObject({ operation: 'embeddings', input: 3, estimated: 1, nano_usd: 450 });
  });

  test('of more texts than it takes at once in several requests, the answer in order', async () => {
    answerBy(({ body }) => ({
      embeddings: (body.requests as JsonObject[]).map(({ content }) => {
        const [part] = (content as JsonObject).parts as JsonObject[];
        return { values: [Number(part!.text), 0] };
      }),
      usageMetadata: { promptTokenCount: 1000 },
    }));
    const input = Array.from({ length: 2450 }, (_, i) => String(i));
    const response = await embed('gemini/gemini-embedding-001', { input });
    const { data, usage } = (await response.json()) as { data: { embedding: number[] }[]; usage: JsonObject };
    expect(data.map(({ embedding }) => embedding[0])).toEqual(input.map(Number));
    expect(usage).toEqual({ prompt_tokens: 25_000, total_tokens: 25_000 });
    expect(host.requests).toHaveLength(25);
    const rows = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(rows).toMatchObject([{ attempt: 1, final: 1, input: 25_000, estimated: 0 }]);
  });

  test('at Vertex AI one by one, older models by predict', async () => {
    answerBy(({ body }) => {
      const [instance] = body.instances as JsonObject[];
      const embeddings = { values: vectorOf(instance!.content), statistics: { token_count: 3 } };
      return { predictions: [{ embeddings }] };
    });
    const response = await embed('vertex/gemini-embedding-001', {
      dimensions: 2,
      input_type: 'search_document',
    });
    expect(await response.json()).toEqual(embedded('gemini-embedding-001', 6));
    const place =
      '/v1beta1/projects/p/locations/us-central1/publishers/google/models/gemini-embedding-001:predict';
    const request = (content: string) => ({
      instances: [{ content, task_type: 'RETRIEVAL_DOCUMENT' }],
      parameters: { outputDimensionality: 2 },
    });
    expect(asked()).toEqual([
      [place, request('one')],
      [place, request('two')],
    ]);
    expect(host.last().headers.get('authorization')).toBe('Bearer token');
  });

  test('and newer ones by embedContent', async () => {
    answerBy(({ body }) => {
      const [part] = (body.content as JsonObject).parts as JsonObject[];
      return { embedding: { values: vectorOf(part!.text) }, usageMetadata: { promptTokenCount: 2 } };
    });
    const response = await embed('vertex/gemini-embedding-2', { dimensions: 2 });
    expect(await response.json()).toEqual(embedded('gemini-embedding-2', 4));
    expect(host.last()).toMatchObject({
      path: '/v1beta1/projects/p/locations/us-central1/publishers/google/models/gemini-embedding-2:embedContent',
      body: { content: { parts: [{ text: 'two' }] }, embedContentConfig: { outputDimensionality: 2 } },
    });
  });

  test('Imagen too', async () => {
    answerBy(() => ({ predictions: [{ bytesBase64Encoded: 'aGk=' }] }));
    const body = { model: 'vertex/imagen-4.0-fast-generate-001', prompt: 'A cat', n: 1 };
    expect((await gateway.post('/v1/images/generations', body)).status).toBe(200);
    expect(host.last().path).toEndWith('/publishers/google/models/imagen-4.0-fast-generate-001:predict');
  });

  const image = { mimeType: 'image/png', data: 'aGk=' };

  test('makes images one a request, and tells the tokens', async () => {
    const draft = { thought: true, inlineData: { mimeType: 'image/png', data: 'ZHJhZnQ=' } };
    answerBy(() => ({
      candidates: [
        { content: { parts: [{ text: 'Here:' }, draft, { inlineData: image }] }, finishReason: 'STOP' },
      ],
      usageMetadata: {
        promptTokenCount: 5,
        candidatesTokenCount: 1290,
        candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1290 }],
      },
    }));
    const made = await gateway.openai.images.generate({
      model: 'gemini/gemini-2.5-flash-image',
      prompt: 'A cat',
      n: 2,
      size: '1536x1024',
      quality: 'high',
    });
    expect(made.data).toEqual([{ b64_json: 'aGk=' }, { b64_json: 'aGk=' }]);
    expect(made.usage).toMatchObject({ input_tokens: 10, output_tokens: 2580, total_tokens: 2590 });
    const request = {
      contents: [{ role: 'user', parts: [{ text: 'A cat' }] }],
      generationConfig: { responseModalities: ['IMAGE'], imageConfig: { aspectRatio: '3:2' } },
    };
    const place = '/v1beta/models/gemini-2.5-flash-image:generateContent';
    expect(asked()).toEqual([
      [place, request],
      [place, request],
    ]);
    const [row] = (await gateway.attempts()).slice(-1);
    // 10 × $0.30 + 2580 × $30, per million
    expect(row).toMatchObject({
      operation: 'images',
      nano_usd: 77_403_000,
      estimated: 0,
      lost: 'size\nquality',
    });
  });

  test('makes images by Imagen, as an address where that is wanted', async () => {
    answerBy(() => ({ predictions: [{ bytesBase64Encoded: 'aGk=', mimeType: 'image/png' }] }));
    const made = await gateway.openai.images.generate({
      model: 'gemini/imagen-4.0-generate-001',
      prompt: 'A cat',
      size: '1024x1792',
      response_format: 'url',
    });
    expect(made.data).toEqual([{ url: 'data:image/png;base64,aGk=' }]);
    expect(asked()).toEqual([
      [
        '/v1beta/models/imagen-4.0-generate-001:predict',
        { instances: [{ prompt: 'A cat' }], parameters: { sampleCount: 1, aspectRatio: '9:16' } },
      ],
    ]);
    const [row] = (await gateway.attempts()).slice(-1);
    expect(row).toMatchObject({ nano_usd: 40_000_000, estimated: 0 });
    expect(JSON.parse(row!.units)).toMatchObject({ image: 1 });
  });

  test.each([
    ['gemini-2.5-flash-image', { promptFeedback: { blockReason: 'SAFETY' } }],
    ['gemini-2.5-flash-image', { candidates: [{ finishReason: 'IMAGE_SAFETY' }] }],
    ['imagen-4.0-generate-001', { predictions: [{ raiFilteredReason: 'Filtered.' }] }],
  ])('what %s withholds is refused: %j', async (model, withheld) => {
    answerBy(() => withheld);
    const response = await gateway.post('/v1/images/generations', { model: `gemini/${model}`, prompt: 'x' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'content_filter' } });
  });
});

describe('Cohere', () => {
  test('embeds', async () => {
    answerBy(() => ({
      id: '1',
      embeddings: {
        float: [
          [1, 0.5],
          [0, -0.5],
        ],
      },
      texts: ['one', 'two'],
      meta: { billed_units: { input_tokens: 4 } },
    }));
    const response = await embed('cohere/embed-v4.0', { dimensions: 256, truncate: 'END' });
    expect(await response.json()).toEqual(embedded('embed-v4.0', 4));
    expect(asked()).toEqual([
      [
        '/v2/embed',
        {
          model: 'embed-v4.0',
          texts: ['one', 'two'],
          input_type: 'search_document',
          embedding_types: ['float'],
          output_dimension: 256,
          truncate: 'END',
        },
      ],
    ]);
    expect(host.last().headers.get('authorization')).toBe('Bearer co');
  });

  test('for searches, and 96 texts at a time', async () => {
    answerBy(({ body }) => ({
      embeddings: { float: (body.texts as string[]).map((text) => [Number(text)]) },
      meta: { billed_units: { input_tokens: 10 } },
    }));
    const input = Array.from({ length: 200 }, (_, i) => String(i));
    const response = await embed('cohere/embed-v4.0', { input, input_type: 'search_query' });
    expect(((await response.json()) as { data: unknown[] }).data).toHaveLength(200);
    expect(host.requests.map(({ body }) => (body.texts as string[]).length)).toEqual([96, 96, 8]);
    expect(host.last().body.input_type).toBe('search_query');
  });

  test('is asked in OpenAI’s shape where that stands first', async () => {
    const answer = {
      object: 'list',
      data: [{ embedding: [1] }],
      usage: { prompt_tokens: 1, total_tokens: 1 },
    };
    answerBy(() => answer);
    const response = await embed('compatible/embed-v4.0');
    expect(await response.json()).toEqual(answer);
    expect(asked()).toEqual([
      ['/compatibility/v1/embeddings', { model: 'embed-v4.0', input: ['one', 'two'] }],
    ]);
  });

  test('reranks: documents are texts there, and come back from the request', async () => {
    const meta = { billed_units: { search_units: 1 } };
    answerBy(() => ({
      id: 'r1',
      results: [
        { index: 2, relevance_score: 0.9 },
        { index: 0, relevance_score: 0.1 },
      ],
      meta,
    }));
    const response = await gateway.post('/v1/rerank', {
      model: 'cohere/rerank-v3.5',
      query: 'cats',
      documents: ['a', { text: 'b' }, { title: 'c', body: 'd' }],
      top_n: 2,
      return_documents: true,
      max_tokens_per_doc: 100,
      rank_fields: ['title'],
    });
    expect(await response.json()).toEqual({
      id: 'r1',
      model: 'rerank-v3.5',
      results: [
        { index: 2, relevance_score: 0.9, document: { text: '{"title":"c","body":"d"}' } },
        { index: 0, relevance_score: 0.1, document: { text: 'a' } },
      ],
      meta,
    });
    expect(response.headers.get('x-sluice-lost')).toBe('rank_fields');
    expect(asked()).toEqual([
      [
        '/v2/rerank',
        {
          model: 'rerank-v3.5',
          query: 'cats',
          documents: ['a', 'b', '{"title":"c","body":"d"}'],
          top_n: 2,
          max_tokens_per_doc: 100,
        },
      ],
    ]);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ operation: 'rerank', nano_usd: 2_000_000, estimated: 0 });
  });

  test('tells of its refusals in OpenAI’s shape', async () => {
    host.answer = () => Response.json({ message: 'invalid request: too many texts' }, { status: 400 });
    const response = await embed('cohere/embed-v4.0');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { message: 'invalid request: too many texts', type: 'invalid_request_error' },
    });
  });
});

test('Ollama embeds by its own API', async () => {
  answerBy(() => ({
    model: 'nomic',
    embeddings: [
      [1, 0.5],
      [0, -0.5],
    ],
    prompt_eval_count: 8,
  }));
  const response = await embed('ol/nomic-embed-text', { dimensions: 2, keep_alive: '5m' });
  expect(await response.json()).toEqual(embedded('nomic-embed-text', 8));
  expect(asked()).toEqual([
    ['/api/embed', { model: 'nomic-embed-text', input: ['one', 'two'], dimensions: 2, keep_alive: '5m' }],
  ]);
});

describe('Bedrock', () => {
  const titan = 'amazon.titan-embed-text-v2:0';

  test('asks Titan text by text, in order, each request signed', async () => {
    answerBy(({ body }) => ({ embedding: vectorOf(body.inputText), inputTextTokenCount: 3 }));
    const response = await embed(`bedrock/${titan}`, { dimensions: 256, normalize: true });
    expect(await response.json()).toEqual(embedded(titan, 6));
    const place = '/model/amazon.titan-embed-text-v2%3A0/invoke';
    expect(asked()).toEqual([
      [place, { inputText: 'one', dimensions: 256, normalize: true }],
      [place, { inputText: 'two', dimensions: 256, normalize: true }],
    ]);
    const signatures = host.requests.map(({ headers }) => headers.get('authorization'));
    expect(new Set(signatures).size).toBe(2);
    for (const signature of signatures) expect(signature).toStartWith('AWS4-HMAC-SHA256 Credential=AKID/');
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    // 6 × $0.02 per million
    expect(row).toMatchObject({ input: 6, nano_usd: 120, estimated: 0 });
  });

  test('many texts at once are as many requests, a handful at a time', async () => {
    let running = 0;
    let most = 0;
    host.answer = async ({ body }) => {
      most = Math.max(most, ++running);
      await Bun.sleep(5);
      running--;
      return Response.json({ embedding: [Number(body.inputText)], inputTextTokenCount: 1 });
    };
    const input = Array.from({ length: 40 }, (_, i) => String(i));
    const response = await embed(`bedrock/${titan}`, { input });
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding[0])).toEqual(input.map(Number));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  test('what was read before one of them failed is paid for', async () => {
    host.answer = ({ body }) =>
      body.inputText === '15'
        ? Response.json({ message: 'Too many requests' }, { status: 429 })
        : Response.json({ embedding: [1], inputTextTokenCount: 1 });
    const input = Array.from({ length: 40 }, (_, i) => String(i));
    const response = await embed(`bedrock/${titan}`, { input });
    expect(response.status).toBe(429);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({
      outcome: 'upstream_rate_limited',
      estimated: 1,
      upstream_status: expect.any(Number),
    });
    expect(row!.input).toBeGreaterThan(0);
    expect(row!.nano_usd).toBeGreaterThan(0);
  });

  test('asks Cohere’s models in their words; a header counts', async () => {
    answerBy(
      () => ({
        id: '1',
        embeddings: {
          float: [
            [1, 0.5],
            [0, -0.5],
          ],
        },
        response_type: 'embeddings_by_type',
      }),
      {
        'x-amzn-bedrock-input-token-count': '7',
      },
    );
    const response = await embed('bedrock/cohere.embed-v4:0', { input_type: 'clustering', dimensions: 512 });
    expect(await response.json()).toEqual(embedded('cohere.embed-v4:0', 7));
    expect(asked()).toEqual([
      [
        '/model/cohere.embed-v4%3A0/invoke',
        {
          texts: ['one', 'two'],
          input_type: 'clustering',
          embedding_types: ['float'],
          output_dimension: 512,
        },
      ],
    ]);
  });

  test('reranks', async () => {
    answerBy(() => ({ results: [{ index: 1, relevance_score: 0.8 }] }));
    const body = { query: 'q', documents: Array.from({ length: 150 }, (_, i) => `text ${i}`), top_n: 1 };
    const response = await gateway.post('/v1/rerank', { model: 'bedrock/cohere.rerank-v3-5:0', ...body });
    expect(await response.json()).toMatchObject({ results: [{ index: 1, relevance_score: 0.8 }] });
    expect(asked()).toEqual([['/model/cohere.rerank-v3-5%3A0/invoke', { ...body, api_version: 2 }]]);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    // 150 documents are two searches; the host does not say so.
    expect(row).toMatchObject({ nano_usd: 4_000_000, estimated: 1 });
  });
});

describe('what cannot be said', () => {
  test.each([
    ['gemini/gemini-embedding-001', { input: [1, 2, 3] }, 'input'],
    ['cohere/embed-v4.0', { input: [[1], [2]] }, 'input'],
    ['bedrock/amazon.titan-embed-text-v1', { dimensions: 256 }, 'dimensions'],
    ['bedrock/cohere.embed-english-v3', { dimensions: 256 }, 'dimensions'],
    ['bedrock/amazon.titan-embed-text-v2:0', { input: Array.from({ length: 2049 }, () => 'x') }, null],
    ['an/claude-opus-4-8', {}, 'model'],
    ['bedrock/amazon.nova-lite-v1:0', {}, 'model'],
  ])('to %s is unsupported, and nobody is asked: %#', async (model, more, param) => {
    const response = await embed(model, more);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { type: 'invalid_request_error', code: 'unsupported', param },
    });
    expect(host.requests).toEqual([]);
  });

  test.each([
    [{ input: [] }, 'input'],
    [{ input: {} }, 'input'],
    [{ input: [null] }, 'input'],
    [{ dimensions: 'many' }, 'dimensions'],
    [{ encoding_format: 'hex' }, 'encoding_format'],
  ])('%j is wrong everywhere', async (more, param) => {
    const response = await embed('gemini/gemini-embedding-001', more);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
    expect(host.requests).toEqual([]);
  });

  test('more images than a model makes', async () => {
    for (const model of ['gemini/gemini-2.5-flash-image', 'gemini/imagen-4.0-generate-001']) {
      const response = await gateway.post('/v1/images/generations', { model, prompt: 'x', n: 11 });
      expect(await response.json()).toMatchObject({ error: { code: 'unsupported', param: 'n' } });
    }
  });

  test('a stream of what is made whole', async () => {
    const body = { model: 'gemini/gemini-2.5-flash-image', prompt: 'x', stream: true };
    const response = await gateway.post('/v1/images/generations', body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'unsupported', param: 'stream' } });
  });
});

describe('an answer that is none', () => {
  test.each([
    ['gemini/gemini-embedding-001', { embeddings: [{ values: [1] }] }],
    ['gemini/gemini-embedding-001', { embeddings: [{ values: [1] }, { values: [] }] }],
    ['gemini/gemini-embedding-001', {}],
    ['cohere/embed-v4.0', { embeddings: { float: [[1], ['x']] } }],
    ['ol/nomic', { embeddings: null }],
  ])('of %s: %j', async (model, answer) => {
    answerBy(() => answer);
    const response = await embed(model);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_invalid' } });
  });
});
