/** A server to ask over bare sockets: what is sent and what comes back, byte for byte. */
import { connect, type Socket } from 'node:net';
import type { Patience } from '../../src/wire/http/server/line.ts';
import type { Answer, ClientRequest } from '../../src/wire/http/server/messages.ts';
import { HttpServer } from '../../src/wire/http/server/server.ts';

export interface Served {
  server: HttpServer;
  url: string;
  /** What went wrong inside. */
  failures: unknown[];
  stop(): Promise<void>;
}

export function listen(
  answer: (request: ClientRequest) => Answer | Promise<Answer>,
  patience?: Patience,
  port = 0,
  host = '127.0.0.1',
): Served {
  const failures: unknown[] = [];
  const server = new HttpServer({
    host,
    port,
    answer,
    failed: (error) => failures.push(error),
    ...(patience === undefined ? {} : { patience }),
  });
  return { server, url: `http://127.0.0.1:${server.port}`, failures, stop: () => server.stop(true) };
}

/** Tells what it has been asked, when all of it has come. */
export async function echo(request: ClientRequest): Promise<Answer> {
  const body = Buffer.from(await request.bytes()).toString('latin1');
  const { method, url, headers } = request;
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ method, url, headers: [...headers], body }),
  };
}

/** A client that does nothing by itself. */
export class RawClient {
  text = '';
  ended = false;
  closed = false;
  private wake = () => {};

  private constructor(readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      this.text += bytes.toString('latin1');
      this.wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.wake();
    });
    socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
    socket.on('error', () => {});
  }

  static async open({ server }: Served): Promise<RawClient> {
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    await new Promise((resolve) => socket.once('connect', resolve));
    return new RawClient(socket);
  }

  send(text: string | Uint8Array): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** @throws Error after five seconds. */
  async until(there: () => boolean): Promise<void> {
    const late = performance.now() + 5000;
    while (!there()) {
      if (performance.now() > late) throw new Error(`it did not come; this did: ${this.text.slice(0, 500)}`);
      await Promise.race([
        new Promise<void>((resolve) => {
          this.wake = resolve;
        }),
        Bun.sleep(20),
      ]);
    }
  }

  /** The next `count` answers, off the front of what came. */
  async answers(count: number): Promise<RawAnswer[]> {
    const found: RawAnswer[] = [];
    await this.until(() => {
      for (;;) {
        if (found.length === count) return true;
        const read = readAnswer(this.text);
        if (read === undefined) return false;
        this.text = this.text.slice(read.end);
        found.push(read.answer);
      }
    });
    return found;
  }

  async answer(): Promise<RawAnswer> {
    return (await this.answers(1))[0]!;
  }
}

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Undefined while it is not complete. */
function readAnswer(text: string): { answer: RawAnswer; end: number } | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [line, ...lines] = text.slice(0, headEnd).split('\r\n');
  const status = Number(line!.split(' ')[1]);
  const headers = Object.fromEntries(
    lines.map((each) => [
      each.slice(0, each.indexOf(':')).toLowerCase(),
      each.slice(each.indexOf(':') + 1).trim(),
    ]),
  );
  const start = headEnd + 4;
  if (headers['transfer-encoding'] === 'chunked') return readChunks(text, start, status, headers);
  const end = start + Number(headers['content-length'] ?? 0);
  if (text.length < end) return undefined;
  return { answer: { status, headers, body: text.slice(start, end) }, end };
}

function readChunks(text: string, start: number, status: number, headers: Record<string, string>) {
  let body = '';
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (text.length < end) return undefined;
    body += text.slice(lineEnd + 2, end - 2);
    if (size === 0) return { answer: { status, headers, body }, end };
    at = end;
  }
}
