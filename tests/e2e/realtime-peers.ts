/** Both ends of a realtime session: a client over a real socket, and a provider that does as it is told. For tests. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { ServerWebSocket } from 'bun';
import { until } from './gateway.ts';

export type Event = { type: string } & Record<string, unknown>;

/** A WebSocket client that keeps what it hears. */
export class Client {
  readonly heard: (string | Uint8Array)[] = [];
  closed: { code: number; reason: string } | undefined;
  pings = 0;

  private constructor(readonly socket: WebSocket) {
    socket.binaryType = 'nodebuffer';
    socket.onmessage = ({ data }) => void this.heard.push(data);
    socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
    socket.addEventListener('ping', () => void this.pings++);
  }

  /** @throws when it is refused. */
  static async dial(
    url: string,
    options: { headers?: Record<string, string>; protocols?: string[] } = {},
  ): Promise<Client> {
    const client = new Client(new WebSocket(url.replace(/^http/, 'ws'), options as never));
    await until(() => client.socket.readyState === WebSocket.OPEN || client.closed !== undefined);
    if (client.closed !== undefined)
      throw new Error(`refused: ${client.closed.code} ${client.closed.reason}`);
    return client;
  }

  send(event: object | string | Uint8Array<ArrayBuffer>): void {
    const plain = typeof event === 'string' || event instanceof Uint8Array;
    this.socket.send(plain ? event : JSON.stringify(event));
  }

  get events(): Event[] {
    return this.heard.flatMap((message) =>
      typeof message === 'string' ? [JSON.parse(message) as Event] : [],
    );
  }

  /** The first event of this type, as soon as it is there. */
  async event(type: string, nth = 1): Promise<Event> {
    const found = (): Event | undefined => this.events.filter((event) => event.type === type)[nth - 1];
    await until(() => found() !== undefined || this.closed !== undefined);
    const event = found();
    if (event === undefined) throw new Error(`closed without ${type}: ${JSON.stringify(this.closed)}`);
    return event;
  }

  async end(code = 1000, reason = ''): Promise<void> {
    this.socket.close(code, reason);
    await this.gone();
  }

  async gone(): Promise<{ code: number; reason: string }> {
    await until(() => this.closed !== undefined);
    return this.closed!;
  }

  /** Says a text and asks for an answer to it. */
  ask(text: string): void {
    this.send({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
    });
    this.send({ type: 'response.create' });
  }
}

/** Asks to switch with hands of its own: to see how it is refused. */
export function knock(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  socket = connectTo(url),
): Promise<{
  status: number;
  headers: Headers;
  body: { error: { code: string; message: string; type: string } };
}> {
  const { host } = new URL(url);
  const asked: Record<string, string> = {
    host,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(asked).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [first = '', ...rest] = text.slice(0, end).split('\r\n');
      const found = new Headers(rest.map((line) => line.split(/:\s*/, 2) as [string, string]));
      const status = Number(first.split(' ')[1]);
      const body = text.slice(end + 4);
      if (status !== 101 && body.length < Number(found.get('content-length') ?? 0)) return;
      socket.destroy();
      resolve({ status, headers: found, body: body.startsWith('{') ? JSON.parse(body) : body });
    });
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  });
}

export function connectTo(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect(Number(port), hostname);
}

export interface Held {
  socket: ServerWebSocket<Held>;
  /** Path and query, and headers, as they came. */
  path: string;
  headers: Headers;
  heard: (string | Uint8Array)[];
  pings: number;
  closed: { code: number; reason: string } | undefined;
  say(event: object | string | Uint8Array): void;
  /** Tells that an answer begins, and is done with this usage (undefined: without). */
  answer(usage: object | undefined, more?: object): void;
}

export interface Upstream {
  url: string;
  /** In the order they were opened. */
  held: Held[];
  last(): Held;
  /** Answers a handshake instead, where it is something. */
  refuse:
    | ((model: string, headers: Headers) => Response | undefined | Promise<Response | undefined>)
    | undefined;
  stop(): Promise<void>;
}

export function startUpstream(): Upstream {
  const held: Held[] = [];
  const server = Bun.serve<Held>({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request, server) {
      const { pathname, search, searchParams } = new URL(request.url);
      const refused = await upstream.refuse?.(searchParams.get('model') ?? '', request.headers);
      if (refused !== undefined) return refused;
      const data = newHeld(pathname + search, new Headers(request.headers));
      return server.upgrade(request, { data }) ? undefined : new Response('no', { status: 400 });
    },
    websocket: {
      maxPayloadLength: 64 * 1024 * 1024,
      backpressureLimit: 0,
      open: (socket) => {
        socket.data.socket = socket;
        held.push(socket.data);
      },
      message: (socket, message) => void socket.data.heard.push(message),
      ping: (socket) => void socket.data.pings++,
      close: (socket, code, reason) => {
        socket.data.closed = { code, reason };
      },
    },
  });
  const upstream: Upstream = {
    url: `http://127.0.0.1:${server.port}`,
    held,
    last: () => held.at(-1)!,
    refuse: undefined,
    stop: () => server.stop(true),
  };
  return upstream;
}

function newHeld(path: string, headers: Headers): Held {
  const one: Held = {
    socket: undefined as never,
    path,
    headers,
    heard: [],
    pings: 0,
    closed: undefined,
    say: (event) => {
      const plain = typeof event === 'string' || event instanceof Uint8Array;
      one.socket.send(plain ? event : JSON.stringify(event));
    },
    answer: (usage, more = {}) => {
      one.say({ type: 'response.created', response: { id: 'resp_1', status: 'in_progress' } });
      one.say({ type: 'response.done', response: { id: 'resp_1', status: 'completed', usage, ...more } });
    },
  };
  return one;
}

/** Usage of so many tokens, of which some were audio or cached. */
export function usageOf(
  input: number,
  output: number,
  parts: { audioIn?: number; audioOut?: number; cachedText?: number; cachedAudio?: number } = {},
): object {
  const { audioIn = 0, audioOut = 0, cachedText = 0, cachedAudio = 0 } = parts;
  return {
    total_tokens: input + output,
    input_tokens: input,
    output_tokens: output,
    input_token_details: {
      text_tokens: input - audioIn,
      audio_tokens: audioIn,
      cached_tokens: cachedText + cachedAudio,
      cached_tokens_details: { text_tokens: cachedText, audio_tokens: cachedAudio },
    },
    output_token_details: { text_tokens: output - audioOut, audio_tokens: audioOut },
  };
}

/** TLS in front of a server without it, by a certificate that nobody vouches for. */
export async function startTlsFront(url: string): Promise<AsyncDisposable & { url: string }> {
  const { hostname, port } = new URL(url);
  const server = createServer(makeCertificate(), (socket) => {
    const behind = connect(Number(port), hostname);
    socket.on('error', () => behind.destroy());
    behind.on('error', () => socket.destroy());
    socket.pipe(behind).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as { port: number };
  return {
    url: `https://127.0.0.1:${own}`,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

export function makeCertificate(): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
  const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  Bun.spawnSync(
    [
      'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
      '-addext', 'subjectAltName=DNS:localhost', '-keyout', keyFile, '-out', certFile,
    ], // biome-ignore format: one command
    { stderr: 'ignore' },
  );
  const made = { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
  rmSync(dir, { recursive: true });
  return made;
}
