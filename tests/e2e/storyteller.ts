/**
 * A provider that tells one story in any client dialect, breaks off where it is told to, and goes on with what it is
 * shown, by its own beginning or by words: for tests.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Block, ChatEvent, ChatRequest } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects } from '../../src/dialects/index.ts';

export const story = Array.from(
  { length: 20 },
  (_, i) => `Chapter ${i} of the tale: "somebody\\nwent \u2013 out"\n  and came home ${i * 7} times. `,
)
  .join('')
  .trimEnd();

/** Characters of a piece. */
const pieceLength = 9;

export interface Asked {
  model: string;
  body: JsonObject;
  request: ChatRequest;
  /** How it was asked to go on; undefined: it was not. */
  way: 'turn' | 'text' | 'instruction' | undefined;
}

export interface Storyteller {
  url: string;
  asked: Asked[];
  /** Requests for a model. */
  of(model: string): Asked[];
  stop(): Promise<void>;
}

/**
 * Models are named `ANYTHING~VERB[:N]`: `tell` to the end · `cut`, `stall`, `reset`, `error` after N pieces, or `torn` in
 * the middle of one, or `bare` before the blank line that ends it ·
 * `status` with N · `early` begins earlier than it is asked to · `silent` says nothing · the rest: see `eventsOf`.
 */
export async function startStoryteller(): Promise<Storyteller> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void answer(request.url ?? '', Buffer.concat(chunks).toString(), response, host));
  });
  const host: Storyteller = {
    url: '',
    asked: [],
    of: (model) => host.asked.filter((each) => each.model === model),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return host;
}

async function answer(url: string, text: string, response: ServerResponse, host: Storyteller): Promise<void> {
  const { pathname, search } = new URL(url, 'http://host');
  const dialect = dialectAt(pathname, search);
  const body = JSON.parse(text) as JsonObject;
  const request = dialect.readRequest(body);
  const named = /\/models\/(.+):\w+$/.exec(decodeURIComponent(pathname))?.[1];
  const model = named ?? request.model;
  const start = startOf(request);
  host.asked.push({ model, body, request, way: start.way });
  const [verb = '', count = '0'] = (model.split('~')[1] ?? '').split(':');
  if (verb === 'status') {
    const error = new GatewayError(count === '400' ? 'bad_request' : 'upstream_unavailable', 'Not so.');
    response.writeHead(Number(count), { 'content-type': 'application/json' });
    response.end(JSON.stringify(dialect.writeError(error, 'r').body));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const frames = framesOf(dialect, eventsOf(verb, Number(count), model, start), model);
  if (verb === 'bare') frames.push(frames.pop()!.trimEnd());
  // Some at a time.
  for (let next = 0; next < frames.length && !response.closed; next += 7) {
    response.write(frames.slice(next, next + 7).join(''));
    await Bun.sleep(1);
  }
  if (verb === 'torn') response.write((frames.at(-1) ?? '').slice(0, 60));
  if (verb === 'reset') response.socket?.resetAndDestroy();
  else if (verb !== 'stall') response.end();
}

function dialectAt(path: string, query: string): ClientDialect {
  const found = clientDialects.find((dialect) => dialect.match(path, query.slice(1)) !== undefined);
  if (found === undefined) throw new Error(`nothing at ${path}`);
  return found;
}

interface Start {
  way: Asked['way'];
  /** Where in the story it goes on. */
  at: number;
  /** The words it is asked to repeat. */
  anchor: string;
}

function startOf({ messages, dialect }: ChatRequest): Start {
  const texts = messages.map(({ blocks }) => blocks.map(textOf).join(''));
  const last = messages.at(-1);
  const said = texts.at(-1) ?? '';
  if (last?.role === 'assistant') return { way: 'turn', at: placeOf(said), anchor: '' };
  const anchor = /<last-words>([\s\S]*)<\/last-words>/.exec(said)?.[1];
  if (anchor !== undefined) return { way: 'instruction', at: placeOf(texts.at(-2) ?? ''), anchor };
  if (said.includes('which stand')) return { way: 'instruction', at: story.length, anchor: '' };
  const begun = said.indexOf(story.slice(0, 20));
  if (dialect === 'openai-completions' && begun >= 0)
    return { way: 'text', at: placeOf(said.slice(begun)), anchor: '' };
  return { way: undefined, at: 0, anchor: '' };
}

function textOf(block: Block): string {
  return block.type === 'text' ? block.text : '';
}

/** @throws when it is no beginning of the story: the storyteller was told what it has not said. */
function placeOf(text: string): number {
  if (!story.startsWith(text)) throw new Error(`not a beginning of the story: ${text.slice(-80)}`);
  return text.length;
}

const call = { type: 'tool-call', name: 'look', input: '' } as const;

function eventsOf(verb: string, count: number, model: string, { at, anchor }: Start): ChatEvent[] {
  const events: ChatEvent[] = [
    { type: 'start', id: `id-${Bun.hash(model).toString(36)}`, model, created: 1 },
  ];
  let block = 0;
  const begin = (value: Block): number => {
    events.push({ type: 'block', choice: 0, block, value });
    return block++;
  };
  const say = (kind: 'text' | 'reasoning', text: string): void => {
    const number = begin({ type: kind, text: '' });
    for (let i = 0; i < text.length; i += pieceLength)
      events.push({ type: 'delta', choice: 0, block: number, text: text.slice(i, i + pieceLength) });
    events.push({ type: 'close', choice: 0, block: number });
  };
  const use = (id: string, pieces: string[], close = true): void => {
    const number = begin({ ...call, id });
    for (const input of pieces) events.push({ type: 'delta', choice: 0, block: number, input });
    if (close) events.push({ type: 'close', choice: 0, block: number });
  };
  const end = (stop: 'stop' | 'tool_calls'): ChatEvent[] => {
    events.push({ type: 'finish', choice: 0, stop });
    events.push({ type: 'usage', usage: { ...emptyUsage(), input: 100, output: 50 } }, { type: 'end' });
    return events;
  };
  switch (verb) {
    case 'silent':
      return end('stop');
    case 'early':
      say('text', story.slice(Math.max(0, at - 150)));
      return end('stop');
    case 'thinking':
      say('reasoning', 'How did it go on?');
      say('text', anchor + story.slice(at));
      return end('stop');
    case 'thought-cut':
      say('reasoning', 'Once upon a time there was a thought.');
      events.pop();
      return events;
    case 'call-cut':
      // Its arguments are whole, where a dialect closes calls by themselves.
      say('text', story.slice(0, 90));
      use('call_1', ['{"at":', '1}']);
      return events;
    case 'half-call':
      say('text', story.slice(0, 90));
      use('call_1', ['{"at":', '1'], false);
      return events;
    case 'calls':
      use('call_1', ['{"at": 1}']);
      use('call_2', ['{"at":', '2}']);
      return end('tool_calls');
  }
  say('text', anchor + story.slice(at));
  if (['cut', 'stall', 'reset', 'error', 'torn', 'bare'].includes(verb)) {
    // Start and opening stand before the pieces.
    events.length = Math.min(events.length, count + 2);
    if (verb === 'error')
      events.push({ type: 'error', error: new GatewayError('upstream_overloaded', 'Too many listeners.') });
    return events;
  }
  return end('stop');
}

/** One frame for each event that says something, as the dialect writes it. */
function framesOf(dialect: ClientDialect, events: ChatEvent[], model: string): string[] {
  const frames: string[] = [];
  let text = '';
  const writer = dialect.writeStream(
    (piece) => {
      text += piece;
    },
    { streamUsage: true, request: () => askedOf(model) },
  );
  for (const event of events) {
    if (event.type === 'error') text += dialect.writeStreamError(event.error, 'r');
    else writer.push(event);
    if (text !== '') frames.push(text);
    text = '';
  }
  return frames;
}

function askedOf(model: string): ChatRequest {
  return { dialect: 'openai-responses', model, messages: [], stream: true };
}
