/**
 * A provider on bare sockets, which breaks HTTP, TLS and its own answers as it is told: for faults that no server of
 * good manners can be made to show. Speaks what clients speak, by its path.
 */
import { createServer, type Socket } from 'node:net';
import type { ChatEvent } from '../src/core/chat.ts';
import type { JsonObject } from '../src/core/json.ts';
import { unfold } from '../src/core/unfold.ts';
import { emptyUsage } from '../src/core/usage.ts';
import { type ClientDialect, isClientDialect } from '../src/dialects/dialect.ts';
import { dialects } from '../src/dialects/index.ts';

export const spoken = ['openai-chat', 'anthropic-messages', 'openai-responses', 'gemini'] as const;
export type Spoken = (typeof spoken)[number];

export function dialectNamed(name: string): ClientDialect {
  const dialect = dialects.get(name as Spoken)!;
  if (!isClientDialect(dialect)) throw new Error(`clients do not speak ${name}`);
  return dialect;
}

/** What every answer says, in as many pieces. */
export const words = Array.from({ length: 60 }, (_, i) => `word${i} `);
export const said = words.join('');

/** A streamed answer in its parts, framed. */
export interface Parts {
  /** Opened, and nothing said. */
  opening: string[];
  pieces: string[];
  /** The finish and what comes with it, to the last word. */
  rest: string[];
}

function answerOf(text: string): Parameters<typeof unfold>[0] {
  const usage = { ...emptyUsage(), input: 7, output: 5 };
  const blocks = text === '' ? [] : [{ type: 'text' as const, text }];
  return {
    dialect: 'openai-chat',
    id: 'answer-1',
    model: 'm',
    created: 1,
    choices: [{ index: 0, blocks, stop: 'stop' }],
    usage,
  };
}

export function wholeOf(dialect: ClientDialect, text: string): JsonObject {
  return dialect.writeResponse(answerOf(text));
}

export function partsOf(dialect: ClientDialect, texts: readonly string[]): Parts {
  const parts: Parts = { opening: [], pieces: [], rest: [] };
  let out = '';
  const writer = dialect.writeStream(
    (text) => {
      out += text;
    },
    {
      streamUsage: true,
      request: () => ({ dialect: dialect.name, model: 'm', messages: [], stream: true }),
    },
  );
  const write = (event: ChatEvent, into: string[]): void => {
    writer.push(event);
    // Some events are said in several frames.
    into.push(...(out.match(/[\s\S]+?(?:\r?\n\r?\n|$)/g) ?? []));
    out = '';
  };
  for (const event of unfold(answerOf(texts.length === 0 ? '' : 'x'))) {
    if (event.type === 'start' || event.type === 'block') write(event, parts.opening);
    else if (event.type === 'delta') for (const text of texts) write({ ...event, text }, parts.pieces);
    else write(event, parts.rest);
  }
  return parts;
}

/** A refusal in the words of a dialect. */
export function refusalOf(dialect: ClientDialect, status: number, type: string, message: string): JsonObject {
  if (dialect.name === 'anthropic-messages') return { type: 'error', error: { type, message } };
  if (dialect.name === 'gemini') return { error: { code: status, message, status: type.toUpperCase() } };
  return { error: { message, type, code: type, param: null } };
}

/** The same as an event of a stream. */
export function failureOf(dialect: ClientDialect, message: string): string {
  const told = refusalOf(dialect, 503, 'overloaded_error', message);
  if (dialect.name === 'anthropic-messages') return `event: error\ndata: ${JSON.stringify(told)}\n\n`;
  if (dialect.name === 'openai-responses') {
    const event = { type: 'error', sequence_number: 1, code: 'overloaded', message, param: null };
    return `event: error\ndata: ${JSON.stringify(event)}\n\n`;
  }
  return `data: ${JSON.stringify(told)}\n\n`;
}

/** One request, and all that can be done to it. */
export class Visit {
  constructor(
    private readonly socket: Socket,
    readonly dialect: ClientDialect,
    readonly stream: boolean,
    readonly model: string,
    /** Resolves when the beginning of the answer has reached the client. */
    readonly shown: Promise<void>,
  ) {}

  /** Nobody is there any more. */
  get gone(): boolean {
    return this.socket.destroyed;
  }

  write(bytes: string | Uint8Array): void {
    if (!this.gone) this.socket.write(bytes);
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.write(`HTTP/1.1 ${status} Reason\r\n${lines.join('')}\r\n`);
  }

  /** A whole body, and the connection stays. */
  answer(status: number, body: string | Uint8Array | JsonObject, headers: Record<string, string> = {}): void {
    const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    const length = String(Buffer.byteLength(text));
    this.head(status, { 'content-type': 'application/json', 'content-length': length, ...headers });
    this.write(text);
  }

  /** Begins a stream of events in chunks. */
  events(headers: Record<string, string> = {}): void {
    this.head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked', ...headers });
  }

  chunk(bytes: string | Uint8Array): void {
    const part = Buffer.from(bytes as string);
    if (part.length === 0) return;
    this.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]));
  }

  /** Ends the chunks as they should be. */
  end(): void {
    this.write('0\r\n\r\n');
  }

  /** Closes the connection in good order. */
  close(): void {
    this.socket.end();
  }

  /** Tears it down. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** What a provider does that does well. */
  fine(): void {
    if (!this.stream) {
      this.answer(200, wholeOf(this.dialect, said));
      return;
    }
    const { opening, pieces, rest } = partsOf(this.dialect, words);
    this.events();
    for (const frame of [...opening, ...pieces, ...rest]) this.chunk(frame);
    this.end();
  }

  /** Does it again and again for as long as the client is there. */
  async keepOn(everyMs: number, work: () => void): Promise<void> {
    while (!this.gone) {
      work();
      await Bun.sleep(everyMs);
    }
  }
}

export interface FaultyProvider {
  /** `http://127.0.0.1:PORT/v1`. */
  base: string;
  port: number;
  /** How often each model was asked for. */
  asked: Map<string, number>;
  /** The beginning of an answer has reached the client, whose request has `call-NUMBER` in it. */
  show(call: number): void;
  stop(): void;
}

/** @param play what is done to a request. */
export async function startFaultyProvider(play: (visit: Visit) => void): Promise<FaultyProvider> {
  const sockets = new Set<Socket>();
  const asked = new Map<string, number>();
  const shows = new Map<number, PromiseWithResolvers<void>>();
  const showOf = (call: number): PromiseWithResolvers<void> => {
    const show = shows.get(call) ?? Promise.withResolvers<void>();
    shows.set(call, show);
    return show;
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    let heard = '';
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
      // A greeting of TLS.
      if (heard.startsWith('\x16')) socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      for (;;) {
        const end = heard.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(heard)?.[1] ?? 0);
        if (end < 0 || heard.length < end + 4 + length) return;
        const body = heard.slice(end + 4, end + 4 + length);
        const call = Number(/call-(\d+)/.exec(body)?.[1] ?? 0);
        const visit = visitOf(socket, heard.slice(0, end), body, showOf(call).promise);
        heard = heard.slice(end + 4 + length);
        asked.set(visit.model, (asked.get(visit.model) ?? 0) + 1);
        play(visit);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    base: `http://127.0.0.1:${port}/v1`,
    port,
    asked,
    show: (call) => showOf(call).resolve(),
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function visitOf(socket: Socket, head: string, body: string, shown: Promise<void>): Visit {
  const path = head.split(' ')[1]!;
  const inPath = /models\/([^:?]+):(stream)?/.exec(path);
  if (inPath !== null) {
    const model = decodeURIComponent(inPath[1]!);
    return new Visit(socket, dialectNamed('gemini'), inPath[2] !== undefined, model, shown);
  }
  const { model, stream } = JSON.parse(body) as { model: string; stream?: boolean };
  const name = path.includes('/messages')
    ? 'anthropic-messages'
    : path.includes('/responses')
      ? 'openai-responses'
      : 'openai-chat';
  return new Visit(socket, dialectNamed(name), stream === true, model, shown);
}
