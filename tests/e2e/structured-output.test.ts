/** Structured output of models that cannot be held to a schema: asked for in words, checked, mended once, or refused. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import type { JsonObject } from '../../src/core/json.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway } from './gateway.ts';

/** A host of Chat Completions that says what it is told to, and keeps what it was asked. */
interface Host {
  url: string;
  /** Answers in order; the last one stays. */
  says: string[];
  finish: string;
  requests: JsonObject[];
  stop(): Promise<void>;
}

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

function startHost(): Host {
  const host: Host = { url: '', says: [], finish: 'stop', requests: [], stop: () => server.stop(true) };
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      const body = (await request.json()) as JsonObject;
      host.requests.push(body);
      const content = (host.says.length > 1 ? host.says.shift() : host.says[0]) ?? '';
      const head = { id: 'chatcmpl-1', created: 1, model: 'up' };
      if (body.stream !== true) {
        const choice = { index: 0, message: { role: 'assistant', content }, finish_reason: host.finish };
        return Response.json({ ...head, object: 'chat.completion', choices: [choice], usage });
      }
      const chunk = (delta: object, finish_reason: string | null) =>
        JSON.stringify({
          ...head,
          object: 'chat.completion.chunk',
          choices: [{ index: 0, delta, finish_reason }],
        });
      const pieces = content.match(/[\s\S]{1,7}/g) ?? [];
      const lines = [
        chunk({ role: 'assistant', content: '' }, null),
        ...pieces.map((piece) => chunk({ content: piece }, null)),
        chunk({}, host.finish),
        JSON.stringify({ ...head, choices: [], usage }),
        '[DONE]',
      ];
      return new Response(lines.map((line) => `data: ${line}\n\n`).join(''), {
        headers: { 'content-type': 'text/event-stream' },
      });
    },
  });
  host.url = `http://127.0.0.1:${server.port}/v1`;
  return host;
}

const messagesOf = (request: JsonObject | undefined): JsonObject[] =>
  (request?.messages ?? []) as JsonObject[];

let provider: FakeProvider;
let host: Host;
let other: Host;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  host = startHost();
  other = startHost();
  gateway = await startGateway(`
providers:
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
  anthropic: { url: "${provider.base}", key: up }
  deepseek: { url: "${host.url}", key: up }
  acme: { speaks: openai-chat, url: "${other.url}", key: up }
models: { either: { fallback: [deepseek/m, acme/m] } }
prices: { deepseek/m: { input: 1, output: 2 }, acme/m: { input: 1, output: 1 } }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  await host.stop();
  await other.stop();
});

afterEach(() => {
  host.requests.length = 0;
  other.requests.length = 0;
  host.finish = 'stop';
});

const schema = {
  type: 'object' as const,
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
};
const response_format = {
  type: 'json_schema' as const,
  json_schema: { name: 'person', schema, strict: true },
};
const messages = [
  { role: 'system' as const, content: 'Be terse.' },
  { role: 'user' as const, content: 'Who wrote the first program?' },
];
const right = '{"name": "Ada", "age": 36}';
const ask = { model: 'deepseek/m', messages, response_format };

const whole = (more: object = {}) => gateway.openai.chat.completions.create({ ...ask, ...more });
const streamed = (more: object = {}) =>
  gateway.openai.chat.completions.stream({ ...ask, ...more }).finalChatCompletion();
const ways = [
  ['whole', whole],
  ['streamed', streamed],
] as const;

describe.each(ways)('an OpenAI client, %s', (way, create) => {
  test('gets the JSON alone, whatever stood around it', async () => {
    for (const text of [
      right,
      `Sure!\n\`\`\`json\n${right}\n\`\`\``,
      `Here it is: ${right}\nAnything else?`,
    ]) {
      host.says = [text];
      const answer = await create();
      expect(answer.choices).toMatchObject([{ message: { content: right }, finish_reason: 'stop' }]);
    }
    expect(host.requests).toHaveLength(3);
    const [asked] = host.requests;
    expect(asked?.stream).toBe(way === 'streamed' ? true : undefined);
    expect(asked?.response_format).toEqual({ type: 'json_object' });
    const [system, user, ...others] = messagesOf(asked);
    expect(system?.content).toStartWith('Be terse.');
    expect(system?.content).toContain(JSON.stringify(schema));
    expect(user).toEqual(messages[1]!);
    expect(others).toEqual([]);
  });

  test('does not hear of an answer that was wrong and is right when told so', async () => {
    host.says = ['{"name": "Ada"}', right];
    const answer = await create();
    expect(answer.choices[0]?.message.content).toBe(right);
    const [first, second, ...others] = host.requests;
    expect(others).toEqual([]);
    const [repeated, told] = messagesOf(second).slice(messagesOf(first).length);
    expect(repeated).toMatchObject({ role: 'assistant', content: '{"name": "Ada"}' });
    expect(told).toMatchObject({ role: 'user', content: expect.stringContaining('"age"') });
  });

  test('hears of an answer that stays wrong, once both attempts are over', async () => {
    host.says = ['{"name": "Ada"}'];
    const failure = await create().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OpenAI.APIError);
    expect(failure).toMatchObject({ status: 502, code: 'upstream_invalid' });
    expect((failure as Error).message).toContain('not even when told what was wrong');
    expect(host.requests).toHaveLength(2);
  });

  test('is answered by another target then, if there is one', async () => {
    host.says = ['no idea'];
    other.says = [right];
    const answer = await create({ model: 'either' });
    expect(answer.choices[0]?.message.content).toBe(right);
    expect(host.requests).toHaveLength(2);
    expect(other.requests).toHaveLength(1);
    // That one can be held to the schema, and sees neither the instructions nor the attempts before.
    expect(other.requests[0]?.response_format).toEqual(response_format);
    expect(other.requests[0]?.messages).toEqual(messages);
  });

  test('hears how an answer ended that was cut short', async () => {
    host.says = ['{"name": "Ad'];
    host.finish = 'length';
    const response = await gateway.post('/v1/chat/completions', { ...ask, stream: way === 'streamed' });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('"finish_reason":"length"');
    expect(host.requests).toHaveLength(1);
  });

  test('may ask for any JSON of a host that has a switch for it', async () => {
    host.says = ['{"any": true}'];
    const answer = await create({ response_format: { type: 'json_object' } });
    expect(answer.choices[0]?.message.content).toBe('{"any": true}');
    expect(host.requests[0]?.messages).toEqual(messages);
  });
});

test.each(['whole', 'streamed'])(
  'any JSON may be asked of a dialect without a switch for it, %s',
  async (way) => {
    const request = {
      model: 'an/echo',
      messages: [{ role: 'user' as const, content: `Say ${right} and nothing else.` }],
      response_format: { type: 'json_object' as const },
    };
    const { chat } = gateway.openai;
    const answer = await (way === 'whole'
      ? chat.completions.create(request)
      : chat.completions.stream(request).finalChatCompletion());
    expect(answer.choices[0]?.message.content).toBe(right);
    expect(provider.requests.at(-1)?.body?.system).toContain('JSON object');
  },
);

test('a stream is a proper stream, with usage for those who want it', async () => {
  host.says = [`\`\`\`json\n${right}\n\`\`\``];
  const stream = await gateway.openai.chat.completions.create({
    ...ask,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  expect(chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? '')).join('')).toBe(
    right,
  );
  expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
  expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
  expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 5 });
});

describe('what is written down', () => {
  test('is every attempt, each with its own tokens and cents', async () => {
    host.says = ['{}', right];
    const response = await gateway.post('/v1/chat/completions', ask);
    expect(response.headers.get('x-sluice-attempts')).toBe('2');
    expect(response.headers.get('x-sluice-cost-usd')).toBe('0.00004');
    const attempts = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(attempts).toMatchObject([
      { outcome: 'upstream_invalid', input: 10, output: 5, nano_usd: 20_000, estimated: 0 },
      { outcome: 'ok', input: 10, output: 5, nano_usd: 20_000, estimated: 0 },
    ]);
  });

  test('is no blame: a schema that nothing satisfies puts no target aside', async () => {
    host.says = [right];
    other.says = [right];
    const impossible = {
      ...response_format,
      json_schema: { name: 'none', schema: { type: 'object', not: {} } },
    };
    for (let i = 0; i < 8; i++) {
      const response = await gateway.post('/v1/chat/completions', { ...ask, response_format: impossible });
      expect(response.status).toBe(502);
    }
    const response = await gateway.post('/v1/chat/completions', { ...ask, model: 'either' });
    expect(response.headers.get('x-sluice-target')).toBe('deepseek/m');
  });
});

describe('a schema that cannot be used', () => {
  test('because it is too deep is refused before anybody is asked', async () => {
    const deep = Array.from({ length: 100 }).reduce<JsonObject>(
      (inner) => ({ type: 'object', properties: { a: inner } }),
      {},
    );
    const failure = await whole({
      response_format: { type: 'json_schema', json_schema: { name: 'deep', schema: deep } },
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OpenAI.BadRequestError);
    expect(failure).toMatchObject({ param: 'response_format' });
    expect(host.requests).toHaveLength(0);
  });

  test('because it takes for ever is refused, and nothing else waits for it', async () => {
    host.says = [JSON.stringify({ name: `${'a'.repeat(60)}!` })];
    const slow = { type: 'object', properties: { name: { type: 'string', pattern: '^(a+)+$' } } };
    const failure = whole({
      response_format: { type: 'json_schema', json_schema: { name: 'slow', schema: slow } },
    }).catch((error: unknown) => error);
    const start = performance.now();
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(await failure).toBeInstanceOf(OpenAI.BadRequestError);
  });
});

describe('an Anthropic client', () => {
  const request = {
    model: 'deepseek/m',
    max_tokens: 100,
    messages: [messages[1]],
    output_config: { format: { type: 'json_schema' as const, schema } },
  };

  test('gets the JSON alone, whole and streamed, from a model behind another dialect', async () => {
    host.says = ['{"name": "Ada"}', `It is ${right}`];
    const answer = await gateway.anthropic.messages.create(request as never);
    expect(answer).toMatchObject({ content: [{ type: 'text', text: right }], stop_reason: 'end_turn' });
    host.says = ['{"name": "Ada"}', `It is ${right}`];
    const stream = gateway.anthropic.messages.stream(request as never);
    expect(await stream.finalText()).toBe(right);
    expect(host.requests).toHaveLength(4);
  });

  test('gets text where the schema went as a tool to a model of its own dialect', async () => {
    provider.script('claude-3-5-haiku', 'tool');
    const own = { ...request, model: 'anthropic/claude-3-5-haiku' };
    const whole = await gateway.anthropic.messages.create(own as never);
    const streamed = await gateway.anthropic.messages.stream(own as never).finalMessage();
    for (const { content, stop_reason } of [whole, streamed]) {
      expect(content).toMatchObject([{ type: 'text', text: expect.stringContaining('"name"') }]);
      expect(stop_reason).toBe('end_turn');
    }
    expect(provider.requests.at(-1)?.body?.tool_choice).toMatchObject({ type: 'tool' });
  });

  test('whose instructions stand apart finds the schema behind them', async () => {
    host.says = [right];
    await gateway.anthropic.messages.create({ ...request, system: 'Be terse.' } as never);
    const [system] = messagesOf(host.requests[0]);
    expect(system?.content).toStartWith('Be terse.\n\n');
    expect(system?.content).toContain(JSON.stringify(schema));
  });
});
