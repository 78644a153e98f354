/** Google's client understands the mock over a real socket, on both of Gemini's hosts; and Claude is asked on Vertex. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  ApiError,
  type GenerateContentParameters,
  type GenerateContentResponse,
  GoogleGenAI,
} from '@google/genai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { called, failureOf, said, schema, thought, tokens } from './said.ts';

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider({ key: 'sk-mock' });
});
afterAll(() => fake.stop());

const usageModel = 'usage:input=100,cached=60,output=9,reasoning=3';

describe('Gemini', () => {
  const hosts = {
    'on its own host': () =>
      new GoogleGenAI({
        apiKey: 'sk-mock',
        httpOptions: { baseUrl: fake.url, retryOptions: { attempts: 1 } },
      }),
    'on Vertex': () =>
      new GoogleGenAI({
        vertexai: true,
        apiKey: 'sk-mock',
        httpOptions: { baseUrl: fake.url, retryOptions: { attempts: 1 } },
      }),
  };
  const functionDeclarations = [{ name: 'weather', parametersJsonSchema: schema }];

  describe.each(Object.entries(hosts))('%s', (_host, client) => {
    const whole = (model: string, ask: Partial<GenerateContentParameters> = {}) =>
      client().models.generateContent({ model, contents: said, ...ask });
    const streamed = async (model: string, ask: Partial<GenerateContentParameters> = {}) =>
      Array.fromAsync(await client().models.generateContentStream({ model, contents: said, ...ask }));
    const partsOf = (chunks: GenerateContentResponse[]) =>
      chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);

    test('text and usage, thoughts counted apart', async () => {
      const answer = await whole(usageModel);
      expect([answer.text, answer.candidates?.[0]?.finishReason as string]).toEqual([said, 'STOP']);
      const usage = {
        promptTokenCount: 100,
        cachedContentTokenCount: 60,
        candidatesTokenCount: 6,
        thoughtsTokenCount: 3,
        totalTokenCount: 109,
      };
      expect(answer.usageMetadata).toMatchObject(usage);
      const chunks = await streamed(usageModel);
      expect(chunks.map(({ text }) => text ?? '').join('')).toBe(said);
      expect(chunks.at(-1)?.usageMetadata).toMatchObject(usage);
    });

    test('thoughts are shown where they were asked for, and leave a signature', async () => {
      const config = { thinkingConfig: { includeThoughts: true } };
      const shown = partsOf([await whole('reason', { config })]);
      expect(shown).toEqual([
        { text: thought, thought: true },
        { text: said, thoughtSignature: expect.any(String) },
      ]);
      expect(partsOf([await whole('reason')])).toEqual(shown.slice(1));
      const parts = partsOf(await streamed('reason', { config }));
      expect(
        parts
          .filter((part) => part.thought)
          .map(({ text }) => text)
          .join(''),
      ).toBe(thought);
      expect(parts.at(-1)).toEqual({ text: '', thoughtSignature: shown[1]?.thoughtSignature });
    });

    test('calls functions and hears what they gave back', async () => {
      const config = { tools: [{ functionDeclarations }] };
      for (const answer of [
        [await whole('tool:calls=2', { config })],
        await streamed('tool:calls=2', { config }),
      ]) {
        const parts = partsOf(answer).filter((part) => part.functionCall);
        expect(parts.map(({ functionCall }) => functionCall?.args)).toEqual([called, called]);
        expect(parts.map(({ thoughtSignature }) => typeof thoughtSignature)).toEqual(['string', 'undefined']);
        const back = [{ output: 'sunny' }, { error: 'no network' }].map((response) => ({
          functionResponse: { name: 'weather', response },
        }));
        const turns = [
          { role: 'user', parts: [{ text: said }] },
          { role: 'model', parts },
        ];
        const done = await whole('tool', { config, contents: [...turns, { role: 'user', parts: back }] });
        expect(done.text).toBe('sunny\n[error] no network');
        const few = failureOf(
          whole('tool', { config, contents: [...turns, { role: 'user', parts: back.slice(1) }] }),
        );
        expect((await few).message).toInclude('number of function response parts');
      }
    });

    test('counts tokens', async () => {
      expect((await client().models.countTokens({ model: 'echo', contents: said })).totalTokens).toBe(tokens);
    });

    test('fails before and within a stream', async () => {
      const limited = await failureOf(whole('status:429,retry_after=7'));
      expect(limited).toBeInstanceOf(ApiError);
      expect(JSON.parse(limited.message).error).toMatchObject({
        status: 'RESOURCE_EXHAUSTED',
        details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' }],
      });
      expect((await failureOf(streamed('error-event'))).message).toInclude('"status":"INTERNAL"');
      await expect(streamed('malformed')).rejects.toThrow();
    });
  });

  test('without alt=sse a stream is one array', async () => {
    const answer = await fetch(`${fake.url}/v1beta/models/echo:streamGenerateContent?key=sk-mock`, {
      method: 'POST',
      body: JSON.stringify({ contents: [{ parts: [{ text: said }] }] }),
    });
    const chunks = (await answer.json()) as GenerateContentResponse[];
    expect(chunks.map(({ candidates }) => candidates?.[0]?.content?.parts?.[0]?.text).join('')).toBe(said);
  });

  test.each([
    [{ contents: [{ parts: [{ text: 'x' }] }], temperature: 1 }, 'Unknown name "temperature"'],
    [{ contents: [{ role: 'assistant', parts: [{ text: 'x' }] }] }, 'valid role: user, model'],
    [
      {
        contents: [{ parts: [{ text: 'x' }] }],
        tools: [{ functionDeclarations: [{ name: 'f', parameters: { $ref: '#' } }] }],
      },
      'Unknown name "$ref" at \'tools[0].function_declarations[0].parameters\'',
    ],
    [
      { contents: [{ parts: [{ text: 'x' }] }], generation_config: { response_json_schema: {} } },
      'response_mime_type',
    ],
  ])('refuses %j', async (body, why) => {
    const headers = { 'x-goog-api-key': 'sk-mock' };
    const url = `${fake.url}/v1beta/models/echo:generateContent`;
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    const { error } = (await answer.json()) as { error: { status: string; message: string } };
    expect([answer.status, error.status]).toEqual([400, 'INVALID_ARGUMENT']);
    expect(error.message).toInclude(why);
  });
});

describe('Claude on Vertex', () => {
  const post = (verb: string, body: object): Promise<Response> =>
    fetch(`${fake.url}/v1/projects/p/locations/eu/publishers/anthropic/models/${verb}`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-mock' },
      body: JSON.stringify({
        anthropic_version: 'vertex-2023-10-16',
        max_tokens: 50,
        messages: [{ role: 'user', content: said }],
        ...body,
      }),
    });

  test('answers, streams, counts and fails', async () => {
    expect(await (await post('echo:tokens=3:rawPredict', {})).json()).toMatchObject({
      usage: { output_tokens: 3 },
    });
    expect(await (await post('echo:streamRawPredict', {})).text()).toInclude('event: message_stop');
    expect(await (await post('count-tokens:rawPredict', { model: 'echo' })).json()).toEqual({
      input_tokens: tokens,
    });
    expect(await (await post('status:429:rawPredict', {})).json()).toMatchObject({
      error: { status: 'RESOURCE_EXHAUSTED' },
    });
    expect((await post('echo:rawPredict', { model: 'echo' })).status).toBe(400);
  });
});
