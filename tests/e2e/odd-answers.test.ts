/** Answers that are right but unusual, and answers that are none although their status says 200. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { sseEvents } from '../recordings.ts';
import { startGateway, type TestGateway } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
let folder: string;

const chunk = (choices: object[], rest: object = {}): string =>
  `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...rest })}`;
const said = (content: string) => chunk([{ index: 0, delta: { role: 'assistant', content } }]);
const finished = chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]);
const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
const counted = chunk([], { usage });
const done = 'data: [DONE]';

const event = (type: string, members: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}`;
const message = {
  id: 'm1',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content: [],
  stop_reason: null,
  stop_sequence: null,
};
const opened = [
  event('message_start', { message: { ...message, usage: { input_tokens: 5, output_tokens: 1 } } }),
  event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
];
const delta = (text: string) =>
  event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
const closed = [
  event('content_block_stop', { index: 0 }),
  event('message_delta', {
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { output_tokens: 2 },
  }),
];
const stopped = event('message_stop');
const frames = (...events: string[]): string => events.map((each) => `${each}\n\n`).join('');

/** Streams that say "Hello there": how they are framed is their own affair. */
const streams: Record<'oa' | 'an', Record<string, string>> = {
  oa: {
    usual: frames(said('Hello'), said(' there'), finished, counted, done),
    crlf: frames(said('Hello'), said(' there'), finished, counted, done).replaceAll('\n', '\r\n'),
    'no space after the colon': frames(said('Hello'), said(' there'), finished, counted, done).replaceAll(
      'data: ',
      'data:',
    ),
    'comments between': frames(
      ': PROCESSING',
      ': PROCESSING',
      said('Hello'),
      ': PROCESSING',
      said(' there'),
      finished,
      counted,
      done,
    ),
    'no last word': frames(said('Hello'), said(' there'), finished, counted),
    'no last line break': frames(said('Hello'), said(' there'), finished, counted, done).trimEnd(),
    'usage beside the finish': frames(
      said('Hello'),
      said(' there'),
      chunk([{ index: 0, delta: {}, finish_reason: 'stop' }], { usage }),
      done,
    ),
    'usage in every chunk': frames(
      chunk([{ index: 0, delta: { role: 'assistant', content: 'Hello' } }], {
        usage: { ...usage, completion_tokens: 1, total_tokens: 6 },
      }),
      chunk([{ index: 0, delta: { content: ' there' }, finish_reason: 'stop' }], { usage }),
      done,
    ),
    'an empty first chunk': frames(
      chunk([], { prompt_filter_results: [] }),
      said(''),
      said('Hello'),
      said(' there'),
      finished,
      counted,
      done,
    ),
  },
  an: {
    usual: frames(...opened, delta('Hello'), delta(' there'), ...closed, stopped),
    crlf: frames(...opened, delta('Hello'), delta(' there'), ...closed, stopped).replaceAll('\n', '\r\n'),
    pings: frames(
      event('ping'),
      ...opened,
      event('ping'),
      delta('Hello'),
      event('ping'),
      delta(' there'),
      ...closed,
      stopped,
    ),
    'no event names': frames(...opened, delta('Hello'), delta(' there'), ...closed, stopped).replace(
      /^event: .*\n/gm,
      '',
    ),
    'no last line break': frames(...opened, delta('Hello'), delta(' there'), ...closed, stopped).trimEnd(),
    'an event nobody knows': frames(
      ...opened,
      event('surprise', { x: 1 }),
      delta('Hello'),
      delta(' there'),
      ...closed,
      stopped,
    ),
  },
};

/** Bodies under a status of 200 that are no answer. */
const impostors: Record<string, { body: unknown; type: string }> = {
  'an error': {
    body: { error: { message: 'The engine is down.', type: 'server_error' } },
    type: 'application/json',
  },
  'an error of the other dialect': {
    body: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
    type: 'application/json',
  },
  'an empty object': { body: {}, type: 'application/json' },
  null: { body: null, type: 'application/json' },
  'a page': { body: '<html>Log in to the Wi-Fi</html>', type: 'text/html' },
  nothing: { body: '', type: 'application/json' },
  'nothing at all': { body: '', type: 'text/plain' },
};

const nameOf = (text: string): string => text.replace(/\W/g, '-');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-recordings-'));
  const record = (name: string, type: string, rest: object) =>
    writeFileSync(
      join(folder, `${nameOf(name)}.json`),
      JSON.stringify({ response: { status: 200, headers: { 'content-type': type }, ...rest } }),
    );
  for (const [up, list] of Object.entries(streams)) {
    for (const [name, sse] of Object.entries(list)) record(`${up} ${name}`, 'text/event-stream', { sse });
  }
  for (const [name, { body, type }] of Object.entries(impostors)) record(name, type, { body });
  provider = await startFakeProvider({ recordings: folder });
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
models:
${Object.keys(impostors)
  .flatMap((name) =>
    ['oa', 'an'].map(
      (up) =>
        `  ${up}-${nameOf(name)}: { fallback: [${up}/replay:${nameOf(name)}.json, "${up}/echo:as=rescue"] }`,
    ),
  )
  .join('\n')}
prices: { "oa/echo:as=rescue": { input: 0, output: 0 } }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
  rmSync(folder, { recursive: true, force: true });
});

const messages = [{ role: 'user' as const, content: 'Hi' }];
const cases = Object.entries(streams).flatMap(([up, list]) =>
  Object.keys(list).map((name) => [up, name] as const),
);

describe.each(['', ',split=1', ',split=event'])('an unusual stream%s', (split) => {
  test.each(cases)('of %s to an OpenAI client: %s', async (up, name) => {
    const model = `${up}/replay:${nameOf(`${up} ${name}`)}.json${split}`;
    const response = await gateway.post('/v1/chat/completions', {
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const text = await response.text();
    const data = sseEvents(text).map((each) => each.data);
    expect(data.filter((line) => line === '[DONE]')).toHaveLength(1);
    expect(data.at(-1)).toBe('[DONE]');
    const chunks = data.slice(0, -1).map((line) => JSON.parse(line));
    expect(chunks.map((each) => each.choices[0]?.delta?.content ?? '').join('')).toBe('Hello there');
    expect(chunks.filter((each) => each.choices[0]?.finish_reason)).toHaveLength(1);
    expect(chunks.findLast((each) => each.usage)?.usage).toMatchObject({
      prompt_tokens: 5,
      completion_tokens: 2,
    });
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'ok', input: 5, output: 2, estimated: 0 });
  });

  test.each(cases)('of %s to an OpenAI client that wants no usage: %s', async (up, name) => {
    const model = `${up}/replay:${nameOf(`${up} ${name}`)}.json${split}`;
    const response = await gateway.post('/v1/chat/completions', { model, messages, stream: true });
    const data = sseEvents(await response.text()).map((each) => each.data);
    expect(data.at(-1)).toBe('[DONE]');
    const chunks = data.slice(0, -1).map((line) => JSON.parse(line));
    expect(chunks.map((each) => each.choices[0]?.delta?.content ?? '').join('')).toBe('Hello there');
    const bare = chunks.filter((each) => each.choices.length === 0 && each.usage);
    expect(bare).toEqual([]);
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'ok', input: 5, output: 2, estimated: 0 });
  });

  test.each(cases)('of %s to an Anthropic client: %s', async (up, name) => {
    const model = `${up}/replay:${nameOf(`${up} ${name}`)}.json${split}`;
    const response = await gateway.post('/v1/messages', { model, messages, stream: true, max_tokens: 9 });
    const events = sseEvents(await response.text()).map((each) => JSON.parse(each.data));
    expect(events.map((each) => each.delta?.text ?? '').join('')).toBe('Hello there');
    expect(events.filter(({ type }) => type === 'message_stop')).toHaveLength(1);
    expect(events.at(-1).type).toBe('message_stop');
    const [row] = await gateway.attemptsOf(response.headers.get('x-request-id'));
    expect(row).toMatchObject({ outcome: 'ok', input: 5, output: 2, estimated: 0 });
  });
});

const fakes = Object.keys(impostors).flatMap((name) =>
  ['oa', 'an'].flatMap((up) =>
    ['/v1/chat/completions', '/v1/messages'].flatMap((path) =>
      [false, true].map((stream) => [name, up, path, stream] as const),
    ),
  ),
);

describe('under a status of 200', () => {
  test.each(fakes)(
    '%s is no answer: another target gives one (%s, %s, stream: %p)',
    async (name, up, path, stream) => {
      const response = await gateway.post(path, {
        model: `${up}-${nameOf(name)}`,
        messages,
        stream,
        max_tokens: 9,
      });
      expect(response.status).toBe(200);
      expect(response.headers.get('x-sluice-target')).toBe(`${up}/echo:as=rescue`);
      expect(await response.text()).toInclude('Hi');
    },
  );

  test.each(fakes)(
    '%s is no answer: alone it is a failure (%s, %s, stream: %p)',
    async (name, up, path, stream) => {
      const response = await gateway.post(path, {
        model: `${up}/replay:${nameOf(name)}.json,as=alone`,
        messages,
        stream,
        max_tokens: 9,
      });
      expect(response.status).toBeGreaterThanOrEqual(500);
      const { error } = (await response.json()) as { error: { message: string } };
      expect(error.message.length).toBeGreaterThan(5);
    },
  );
});
