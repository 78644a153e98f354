/** Every misbehaviour, in every wire language and every way its events lie in bytes; and replay of every kind of recording. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMock } from '../../src/mock/mock.ts';
import { encodeEvent } from '../../src/wire/event-stream.ts';
import { type Framing, frameReader } from '../../src/wire/framing.ts';

const mock = createMock();
const text = 'hello world, how are you today?';
const messages = [{ role: 'user', content: text }];

interface Place {
  /** Where a model is asked, whole or streamed. */
  path(model: string, stream: boolean): string;
  body: object;
  framing: Framing | 'array';
  /** What ends a stream, and stands in no other event. */
  lastWord: string;
  /** What a failure within a stream looks like, by the name of its event or in its text. */
  failure: RegExp;
}

const chat = { messages, stream: true };
const claude = { messages, max_tokens: 100 };
const contents = { contents: [{ parts: [{ text }] }] };
const verb = (whole: string, stream: string) => (model: string, streams: boolean) =>
  encodeURIComponent(model) + (streams ? stream : whole);
const vertex = '/v1/projects/p/locations/l/publishers';
const gemini = verb(':generateContent', ':streamGenerateContent');

const places: Record<string, Place> = {
  'openai-chat': {
    path: () => '/v1/chat/completions',
    body: chat,
    framing: 'sse',
    lastWord: '[DONE]',
    failure: /^\{"error":\{"message"/,
  },
  azure: {
    path: (model) =>
      `/openai/deployments/${encodeURIComponent(model)}/chat/completions?api-version=2024-10-21`,
    body: chat,
    framing: 'sse',
    lastWord: '[DONE]',
    failure: /^\{"error":\{"message"/,
  },
  'openai-completions': {
    path: () => '/v1/completions',
    body: { prompt: text, stream: true },
    framing: 'sse',
    lastWord: '[DONE]',
    failure: /^\{"error":\{"message"/,
  },
  'openai-responses': {
    path: () => '/v1/responses',
    body: { input: text, stream: true },
    framing: 'sse',
    lastWord: 'response.completed',
    failure: /^response\.failed/,
  },
  'anthropic-messages': {
    path: () => '/v1/messages',
    body: { ...claude, stream: true },
    framing: 'sse',
    lastWord: 'message_stop',
    failure: /^error .*overloaded_error/,
  },
  'Claude on Vertex': {
    path: (model, stream) =>
      `${vertex}/anthropic/models/${verb(':rawPredict', ':streamRawPredict')(model, stream)}`,
    body: { ...claude, anthropic_version: 'vertex-2023-10-16' },
    framing: 'sse',
    lastWord: 'message_stop',
    failure: /"status":"INTERNAL"/,
  },
  'Claude on Bedrock': {
    path: (model, stream) => `/model/${verb('/invoke', '/invoke-with-response-stream')(model, stream)}`,
    body: { ...claude, anthropic_version: 'bedrock-2023-05-31' },
    framing: 'aws-chunks',
    lastWord: 'message_stop',
    failure: /^exception:internalServerException/,
  },
  gemini: {
    path: (model, stream) => `/v1beta/models/${gemini(model, stream)}?alt=sse`,
    body: contents,
    framing: 'sse',
    lastWord: 'finishReason',
    failure: /"status":"INTERNAL"/,
  },
  'gemini as an array': {
    path: (model, stream) => `/v1beta/models/${gemini(model, stream)}`,
    body: contents,
    framing: 'array',
    lastWord: 'finishReason',
    failure: /"status":"INTERNAL"/,
  },
  'gemini on Vertex': {
    path: (model, stream) => `${vertex}/google/models/${gemini(model, stream)}?alt=sse`,
    body: contents,
    framing: 'sse',
    lastWord: 'finishReason',
    failure: /"status":"INTERNAL"/,
  },
  'bedrock-converse': {
    path: (model, stream) => `/model/${verb('/converse', '/converse-stream')(model, stream)}`,
    body: { messages: [{ role: 'user', content: [{ text }] }] },
    framing: 'aws-events',
    lastWord: 'metadata',
    failure: /^exception:internalServerException/,
  },
  'cohere-v2': {
    path: () => '/v2/chat',
    body: chat,
    framing: 'sse',
    lastWord: '[DONE]',
    failure: /"finish_reason":"ERROR"/,
  },
  ollama: {
    path: () => '/api/chat',
    body: chat,
    framing: 'ndjson',
    lastWord: '"done":true',
    failure: /^\{"error":"/,
  },
};

describe.each(Object.entries(places))('%s', (_name, place) => {
  const ask = (model: string, stream = true, to = mock): Promise<Response> => {
    const path = place.path(model, stream);
    const inPath = path.includes(encodeURIComponent(model));
    return to.transport(`http://mock${path}`, {
      method: 'POST',
      headers: { 'anthropic-version': '2023-06-01' },
      body: JSON.stringify({
        ...place.body,
        ...(!inPath && { model }),
        ...('stream' in place.body && { stream }),
      }),
    });
  };
  const eventsOf = async (model: string): Promise<string[]> =>
    readEvents(place.framing, await (await ask(model)).bytes());

  test('a whole answer and a stream say the same', async () => {
    expect(await (await ask('echo', false)).text()).toInclude(text);
    const events = await eventsOf('echo:chunks=1');
    expect(events.filter((event) => event.includes(text)).length).toBeGreaterThan(0);
    expect(events.filter((event) => event.includes(place.lastWord)).length).toBeGreaterThan(0);
    expect(events.at(-1)).toInclude(place.lastWord);
  });

  test('a stream has the same bytes however they are written', async () => {
    const sizes = ['echo', 'echo:split=event', 'echo:split=7', 'echo:delay=1ms'].map(async (behaviour) => {
      const renamed = createMock({ seed: 1, rename: () => behaviour });
      return (await (await ask('some-model', true, renamed)).bytes()).length;
    });
    expect(new Set(await Promise.all(sizes)).size).toBe(1);
  });

  test('errors come in its own words', async () => {
    for (const [model, status] of [
      ['status:503', 503],
      ['html:502', 502],
      ['nonsense', 404],
    ] as const) {
      for (const stream of [true, false]) expect((await ask(model, stream)).status).toBe(status);
    }
    expect((await ask('status:429,retry_after=7')).status).toBe(429);
    const limited = await ask('status:429,retry_after=7');
    expect(`${limited.headers.get('retry-after')} ${await limited.text()}`).toMatch(/\b7\b|"7s"/);
  });

  test('a stream is cut, torn down, or broken after so many events', async () => {
    const whole = await eventsOf('echo');
    const cut = eventsOf('cut:2');
    if (place.framing === 'array') await expect(cut).rejects.toThrow();
    else expect(await cut).toHaveLength(2);
    const broken = eventsOf('malformed:after=2');
    // What lies in JSON itself cannot be read at all.
    if (place.framing === 'array' || place.framing === 'aws-chunks') {
      await expect(broken).rejects.toThrow();
    } else {
      expect(await broken).toHaveLength(whole.length + 1);
      const [, , third = ''] = await broken;
      expect(() => JSON.parse(third.replace(/^\S+ (?=\{)/, ''))).toThrow();
    }
    await expect(eventsOf('reset:after=2')).rejects.toThrow('closed unexpectedly');
    await expect(ask('reset:after=0')).rejects.toThrow('closed unexpectedly');
    const events = await eventsOf('error-event:after=2');
    expect(events.filter((event) => place.failure.test(event))).toHaveLength(1);
    expect(events.indexOf(events.find((event) => place.failure.test(event)) ?? '')).toBeGreaterThanOrEqual(2);
  });

  test('a stream falls silent', async () => {
    const leaving = new AbortController();
    const answer = await ask('stall:after=1,split=event');
    const reader = answer.body!.getReader();
    expect((await reader.read()).value!.length).toBeGreaterThan(0);
    const more = reader.read().then(() => 'more');
    expect(await Promise.race([more, Bun.sleep(5).then(() => 'silence')])).toBe('silence');
    leaving.abort();
    await reader.cancel();
  });

  test('a whole answer breaks in its middle', async () => {
    await expect((await ask('malformed', false)).json()).rejects.toThrow();
    await expect((await ask('cut', false)).text()).rejects.toThrow('closed unexpectedly');
    expect((await ask('error-event', false)).status).toBe(500);
  });
});

function readEvents(framing: Place['framing'], bytes: Uint8Array): string[] {
  if (framing === 'array') {
    return (JSON.parse(new TextDecoder().decode(bytes)) as object[]).map((event) => JSON.stringify(event));
  }
  const events: string[] = [];
  const reader = frameReader(
    framing,
    (name, data) => void events.push(name === '' ? data : `${name} ${data}`),
  );
  reader.push(bytes);
  reader.end();
  return events;
}

describe('odd input is answered or refused, never a crash', () => {
  const odd = [null, 5, 'x', true, [], {}, [null], ['x'], [5], [{}], [[]], { type: 'x' }];
  const image = 'aGVsbG8=';
  const tool = { name: 'f', parameters: { type: 'object' } };
  const result = { toolUseId: 'a', content: [{ text: 'x' }] };
  /** Requests with as much in them as each wire knows. */
  const full: Record<string, [path: string, body: object]> = {
    chat: ['/v1/chat/completions', {
      model: 'echo', stop: 'x', tools: [{ type: 'function', function: tool }], tool_choice: 'auto', response_format: { type: 'json_schema', json_schema: {} },
      messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'image_url', image_url: { url: 'x' } }] }, { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'a', content: 'x' }],
    }],
    completions: ['/v1/completions', { model: 'echo', prompt: ['x'], stop: ['y'], stream: true, stream_options: { include_usage: true } }],
    responses: ['/v1/responses', {
      model: 'echo', instructions: 'x', include: ['x'], reasoning: { summary: 'auto' }, text: { format: { type: 'json_schema', name: 'x' } }, tool_choice: { type: 'function', name: 'f' }, tools: [{ type: 'function', ...tool }],
      input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }, { type: 'reasoning', summary: [] }, { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }, { type: 'function_call_output', call_id: 'a', output: 'x' }],
    }],
    messages: ['/v1/messages', {
      model: 'echo', max_tokens: 9, system: [{ type: 'text', text: 'x' }], tools: [{ name: 'f', input_schema: { type: 'object' } }], tool_choice: { type: 'auto' }, thinking: { type: 'enabled' }, stop_sequences: ['y'],
      messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: image } }] }, { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'x' }] }],
    }],
    gemini: ['/v1beta/models/echo:generateContent', {
      systemInstruction: { parts: [{ text: 'x' }] }, tools: [{ functionDeclarations: [tool] }], toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f'] } }, generationConfig: { stopSequences: ['y'], thinkingConfig: { includeThoughts: true }, responseMimeType: 'application/json', responseSchema: { type: 'OBJECT' } },
      contents: [{ role: 'user', parts: [{ inlineData: { mimeType: 'image/png', data: image } }] }, { role: 'model', parts: [{ functionCall: { name: 'f', args: {} } }] }, { role: 'user', parts: [{ functionResponse: { name: 'f', response: { output: 'x' } } }] }],
    }],
    converse: ['/model/echo/converse', {
      system: [{ text: 'x' }], inferenceConfig: { maxTokens: 9, stopSequences: ['y'] }, toolConfig: { tools: [{ toolSpec: { name: 'f', inputSchema: { json: { type: 'object' } } } }], toolChoice: { auto: {} } }, outputConfig: { textFormat: { structure: { jsonSchema: { schema: '{}' } } } },
      messages: [{ role: 'user', content: [{ image: { format: 'png', source: { bytes: image } } }, { document: { name: 'x', format: 'pdf', source: { bytes: image } } }] }, { role: 'assistant', content: [{ toolUse: { toolUseId: 'a', name: 'f', input: {} } }] }, { role: 'user', content: [{ toolResult: result }] }],
    }],
    cohere: ['/v2/chat', {
      model: 'echo', tools: [{ type: 'function', function: tool }], tool_choice: 'NONE', stop_sequences: ['y'], response_format: { type: 'json_object' },
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }, { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'a', content: [{ type: 'document', document: { data: 'x' } }] }],
    }],
    ollama: ['/api/chat', {
      model: 'echo', options: { num_predict: 9, stop: ['y'] }, format: { type: 'object' }, tools: [{ type: 'function', function: tool }],
      messages: [{ role: 'user', content: 'x', images: [image] }, { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: {} } }] }, { role: 'tool', content: 'x', tool_name: 'f' }],
    }],
  }; // biome-ignore format: one request a line or two

  test.each(Object.entries(full))('%s', async (_wire, [path, body]) => {
    const send = async (text: string): Promise<number> => {
      const headers = { 'anthropic-version': '2023-06-01' };
      return (await mock.transport(`http://mock${path}`, { method: 'POST', headers, body: text })).status;
    };
    expect(await send(JSON.stringify(body))).toBe(200);
    for (const text of variants(body, odd)) expect([200, 400, 404]).toContain(await send(text));
  });
});

/** The value as JSON text, each of its members at any depth replaced by each of `odd` in turn. */
function* variants(value: unknown, odd: unknown[]): Generator<string> {
  for (const other of odd) yield JSON.stringify(other);
  if (typeof value !== 'object' || value === null) return;
  for (const name of Object.keys(value)) {
    for (const text of variants((value as Record<string, unknown>)[name], odd)) {
      const copy = Array.isArray(value) ? [...value] : { ...value };
      yield JSON.stringify(Object.assign(copy, { [name]: JSON.parse(text) }));
    }
  }
}

describe('replay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mock-'));
  const frames = ['one', 'two', 'three'].map((name) =>
    encodeEvent({ ':event-type': name, ':message-type': 'event' }, JSON.stringify({ name })),
  );
  const binary = Buffer.concat(frames);
  const lines = '{"a":"ü"}\n{"b":2}\n{"done":true}\n';
  const recorded: Record<string, object> = {
    'frames.json': {
      status: 200,
      headers: { 'content-type': 'application/vnd.amazon.eventstream' },
      eventstream_base64: binary.toString('base64'),
    },
    'lines.json': { status: 200, headers: { 'content-type': 'application/x-ndjson' }, ndjson: lines },
    'refused.json': {
      status: 404,
      headers: { 'x-amzn-errortype': 'ResourceNotFoundException' },
      body: { message: 'gone' },
    },
  };
  beforeAll(() => {
    for (const [name, response] of Object.entries(recorded))
      writeFileSync(join(folder, name), JSON.stringify({ response }));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const ask = (model: string): Promise<Response> =>
    createMock({ recordings: folder }).transport(
      `http://mock/model/${encodeURIComponent(model)}/converse-stream`,
      {
        method: 'POST',
        body: JSON.stringify({ messages: [{ role: 'user', content: [{ text }] }] }),
      },
    );

  test('binary frames come back byte for byte, and break between frames', async () => {
    for (const model of ['replay:frames.json', 'replay:frames.json,split=5']) {
      const answer = await ask(model);
      expect(answer.headers.get('content-type')).toBe('application/vnd.amazon.eventstream');
      expect(Buffer.from(await answer.bytes())).toEqual(binary);
    }
    const cut = await (await ask('replay:frames.json,fault=cut,after=2')).bytes();
    expect(Buffer.from(cut)).toEqual(Buffer.concat(frames.slice(0, 2)));
  });

  test('lines come back, and break between lines', async () => {
    expect(await (await ask('replay:lines.json')).text()).toBe(lines);
    expect(await (await ask('replay:lines.json,fault=cut,after=1')).text()).toBe('{"a":"ü"}\n');
  });

  test('a refusal keeps its status and headers', async () => {
    const answer = await ask('replay:refused.json');
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([
      404,
      'ResourceNotFoundException',
    ]);
    expect(await answer.json()).toEqual({ message: 'gone' });
  });
});
