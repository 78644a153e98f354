/**
 * Streams of every framing, cut, split, repeated and blown up on their way through a running gateway: a client gets the
 * whole answer or an error, never a part that seems whole.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { DialectName } from '../../src/core/chat.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Framing } from '../../src/wire/framing.ts';
import type { Client } from '../conformance/client.ts';
import { clientsAt } from '../conformance/replayed.ts';
import type { UnderstoodChoice } from '../conformance/understood.ts';
import { type Frame, joinFrames } from '../laws/reading.ts';
import { forced, key, startGateway, type TestGateway } from './gateway.ts';

/** Two, three and four bytes to a character, and an escape. */
const said = 'Ünï \u6771\u{1F98A}"';

interface Sample {
  framing: Framing;
  type: string;
  frames: Frame[];
}

const named = (data: JsonObject): Frame => ({ event: String(data.type), data: JSON.stringify(data) });
const unnamed = (data: JsonObject): Frame => ({ event: '', data: JSON.stringify(data) });
const frame = (event: string, data: JsonObject): Frame => ({ event, data: JSON.stringify(data) });

const messageEvents = (text: string): Frame[] =>
  [
    {
      type: 'message_start',
      message: {
        id: 'm',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        usage: { input_tokens: 3 },
      },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } },
    { type: 'message_stop' },
  ].map(named);

const samples: Readonly<Record<string, (text: string) => Sample>> = {
  'openai-chat': (text) => ({
    framing: 'sse',
    type: 'text/event-stream',
    frames: [
      unnamed({ id: 'c', model: 'm', choices: [{ index: 0, delta: { role: 'assistant', content: text } }] }),
      unnamed({ id: 'c', model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
      { event: '', data: '[DONE]' },
    ],
  }),
  'anthropic-messages': (text) => ({
    framing: 'sse',
    type: 'text/event-stream',
    frames: messageEvents(text),
  }),
  gemini: (text) => ({
    framing: 'sse',
    type: 'text/event-stream',
    frames: [
      unnamed({ candidates: [{ content: { role: 'model', parts: [{ text }] } }] }),
      unnamed({ candidates: [{ finishReason: 'STOP' }], usageMetadata: { promptTokenCount: 3 } }),
    ],
  }),
  'cohere-v2': (text) => ({
    framing: 'sse',
    type: 'text/event-stream',
    frames: [
      named({ type: 'message-start', id: 'm', delta: { message: { role: 'assistant' } } }),
      named({ type: 'content-start', index: 0, delta: { message: { content: { type: 'text', text: '' } } } }),
      named({ type: 'content-delta', index: 0, delta: { message: { content: { text } } } }),
      named({ type: 'content-end', index: 0 }),
      named({ type: 'message-end', delta: { finish_reason: 'COMPLETE' } }),
    ],
  }),
  ollama: (text) => ({
    framing: 'ndjson',
    type: 'application/x-ndjson',
    frames: [
      unnamed({ model: 'm', message: { role: 'assistant', content: text }, done: false }),
      unnamed({ model: 'm', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop' }),
    ],
  }),
  'bedrock-converse': (text) => ({
    framing: 'aws-events',
    type: 'application/vnd.amazon.eventstream',
    frames: [
      frame('messageStart', { role: 'assistant' }),
      frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } }),
      frame('contentBlockStop', { contentBlockIndex: 0 }),
      frame('messageStop', { stopReason: 'end_turn' }),
    ],
  }),
  'claude-on-bedrock': (text) => ({
    framing: 'aws-chunks',
    type: 'application/vnd.amazon.eventstream',
    frames: messageEvents(text),
  }),
};

// The provider

interface Planned {
  pieces: Uint8Array[];
  type: string;
}

/** What is sent, by the name of the model that is asked for; once. */
const planned = new Map<string, Planned>();
let provider: ReturnType<typeof Bun.serve>;
let gateway: TestGateway;
let clients: Map<DialectName, Client>;

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const inPath = /\/models?\/([^/:]+)/.exec(pathname)?.[1];
  const model = inPath ?? ((await request.json()) as { model: string }).model;
  const plan = planned.get(model)!;
  planned.delete(model);
  const body = new ReadableStream({
    type: 'direct',
    async pull(controller: ReadableStreamDirectController) {
      for (const piece of plan.pieces) {
        controller.write(piece as Uint8Array<ArrayBuffer>);
        await controller.flush();
        if (plan.pieces.length > 1) await Bun.sleep(0);
      }
      controller.close();
    },
  });
  return new Response(body as unknown as ReadableStream, { headers: { 'content-type': plan.type } });
}

beforeAll(async () => {
  provider = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer });
  const base = `http://127.0.0.1:${provider.port}`;
  const signing = 'region: us-east-1, access_key_id: up, secret_access_key: secret';
  const entries = Object.keys(samples).map((name) =>
    name === 'claude-on-bedrock'
      ? `  ${name}: { like: bedrock, speaks: anthropic-messages, url: "${base}", ${signing} }`
      : `  ${name}: { speaks: ${name}, url: "${base}", key: up }`,
  );
  gateway = await startGateway(`providers:\n${entries.join('\n')}\n`);
  clients = new Map(clientsAt(gateway.url, key).map((client) => [client.dialect, client]));
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop(true);
});

let asked = 0;

/** What the client reads of these bytes, or that it throws. */
async function read(
  dialect: DialectName,
  name: string,
  pieces: Uint8Array[],
  type: string,
): Promise<UnderstoodChoice | 'throws'> {
  const model = `claude-${++asked}`;
  planned.set(model, { pieces, type });
  const heard = clients.get(dialect)!.ask({ model: `${name}/${model}`, stream: true, tools: [] });
  return heard.then(
    ({ choices }) => choices[0] ?? { text: '', thought: '', calls: [], stop: 'stop' },
    () => 'throws' as const,
  );
}

const whole = (text: string): UnderstoodChoice => ({ text, thought: '', calls: [], stop: 'stop' });

/** One that is relayed, where there is one, and one that is not. */
const askers = (name: string): DialectName[] =>
  name === 'anthropic-messages' ? [name, 'openai-chat'] : ['openai-chat', 'anthropic-messages'];

/** Clients do not take all that a provider of their own dialect may say; what passes as bytes they hear as it is. */
const mayThrow = (dialect: DialectName, name: string, heard: UnderstoodChoice | 'throws'): boolean =>
  dialect === name && !forced && heard === 'throws';

/** Going through the hub changes only what would be relayed. */
const tried = Object.keys(samples).filter(
  (name) => !forced || askers(name).some((dialect) => dialect === name),
);

const bytesOf = ({ framing, frames }: Sample): Uint8Array => joinFrames(framing, frames);

describe.each(tried)('a stream of %s', (name) => {
  const sample = samples[name]!(said);
  const bytes = bytesOf(sample);

  test('that is cut at any byte is an answer or an error', async () => {
    const outcomes = { answered: 0, failed: 0 };
    const cuts = Array.from({ length: bytes.length + 1 }, (_, cut) => cut);
    while (cuts.length > 0) {
      await Promise.all(
        cuts.splice(0, 16).map(async (cut) => {
          // Every other byte for each: what reads the provider is the same.
          const heard = await read(askers(name)[cut % 2]!, name, [bytes.subarray(0, cut)], sample.type);
          if (heard !== 'throws') expect([cut, heard]).toEqual([cut, whole(said)]);
          outcomes[heard === 'throws' ? 'failed' : 'answered']++;
        }),
      );
    }
    expect(outcomes.answered).toBeGreaterThan(0);
    expect(outcomes.failed).toBeGreaterThan(bytes.length / 3);
  });

  test.each(askers(name))(
    'that comes in pieces of any size is the same to a client of %s',
    async (dialect) => {
      for (const size of [1, 2, 3, 7, 64]) {
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        expect(await read(dialect, name, pieces, sample.type)).toEqual(whole(said));
      }
    },
  );

  // Lines have no names by which to be passed over.
  const nameless = sample.framing === 'ndjson';
  test.each(nameless ? [] : askers(name))(
    'with events nobody knows is the same to a client of %s',
    async (dialect) => {
      const odd = named({ type: 'event_of_tomorrow', value: { text: 'not said' } });
      const frames = sample.frames.flatMap((each) => (each.data === '[DONE]' ? [each] : [each, odd]));
      const heard = await read(dialect, name, [bytesOf({ ...sample, frames })], sample.type);
      if (!mayThrow(dialect, name, heard)) expect(heard).toEqual(whole(said));
    },
  );

  test.each(askers(name))(
    'whose first and last events come twice is an answer or an error to a client of %s',
    async (dialect) => {
      const [first, last] = [sample.frames[0]!, sample.frames.at(-1)!];
      // Where the first event has text in it, it says that twice.
      const twice = first.data.includes(JSON.stringify(said)) ? said + said : said;
      for (const [frames, text] of [
        [[first, ...sample.frames], twice],
        [[...sample.frames, last], said],
      ] as const) {
        const heard = await read(dialect, name, [bytesOf({ ...sample, frames: [...frames] })], sample.type);
        if (heard !== 'throws') expect(heard).toEqual(whole(text));
      }
    },
  );

  test.each(askers(name))(
    'with an event of nine megabytes is an answer or an error to a client of %s',
    async (dialect) => {
      const text = 'x'.repeat(9_000_000);
      const heard = await read(dialect, name, [bytesOf(samples[name]!(text))], sample.type);
      if (heard !== 'throws') expect(heard.text.length).toBe(text.length);
    },
  );
});

const sse = tried.filter((name) => samples[name]!('').framing === 'sse');
describe.each(sse)('server-sent events of %s', (name) => {
  const text = new TextDecoder().decode(bytesOf(samples[name]!(said)));
  test.each([
    ['end their lines by carriage return and line feed', text.replaceAll('\n', '\r\n')],
    ['have comments between them', text.replaceAll('\n\n', '\n\n: keep-alive\n\n')],
    ['have members nobody asked for', text.replaceAll('data: ', 'id: 7\nretry: 100\ndata: ')],
    ['begin with a byte order mark', `\ufeff${text}`],
    ['have no space behind the colon', text.replaceAll('data: ', 'data:')],
    ['are pinged', text.replaceAll('\n\n', '\n\nevent: ping\ndata: {"type":"ping"}\n\n')],
  ])('that %s say the same', async (_, changed) => {
    for (const dialect of askers(name)) {
      const bytes = new TextEncoder().encode(changed);
      const heard = await read(dialect, name, [bytes], 'text/event-stream');
      if (!mayThrow(dialect, name, heard)) expect(heard).toEqual(whole(said));
    }
  });
});

test('nothing of it stays in flight', async () => {
  expect(gateway.app.gateway.inflight.count).toBe(0);
  expect((await gateway.attempts()).filter(({ final }) => final !== 1)).toEqual([]);
});
