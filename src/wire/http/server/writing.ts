/** Writes one answer to one request. */
import { headerLines, headStart, webHeaderLines } from './answer-head.ts';
import type { Incoming } from './incoming.ts';
import type { Flow, Outlet, Part, WrittenAnswer } from './messages.ts';
import type { Outflow } from './outflow.ts';

/** @returns a promise only where the answer is not written at once. It rejects when the answer broke off. */
export function writeAnswer(
  answer: WrittenAnswer | Response,
  request: Incoming,
  out: Outflow,
  keepAlive: boolean,
): Promise<void> | undefined {
  const { headers } = request;
  const web = answer instanceof Response;
  const lines = web ? webHeaderLines(answer.headers) : headerLines(answer.headers);
  const head = headStart(answer.status) + connectionLine(keepAlive, headers.old) + lines;
  if (request.method === 'HEAD' || isBodiless(answer.status)) {
    out.writeText(head + lengthLine(answer) + blank);
    return dropBody(answer);
  }
  const body = answer.body ?? '';
  if (typeof body === 'string' || body instanceof Uint8Array) {
    out.writeWhole(head, body);
    return undefined;
  }
  // Such a client cannot be told where the body ends but by ending the connection.
  const outlet = headers.old
    ? new PlainOutlet(request, out, head + blank)
    : new ChunkedOutlet(request, out, `${head}transfer-encoding: chunked\r\n\r\n`);
  return write(typeof body === 'function' ? body : pour(body, request), outlet);
}

const blank = '\r\n';

/** Whether a client can tell where the answer ends, so that another may follow. */
export function isBounded(
  { status, body }: WrittenAnswer | Response,
  { method, headers }: Incoming,
): boolean {
  if (!headers.old || method === 'HEAD' || isBodiless(status)) return true;
  return body === null || typeof body === 'string' || body instanceof Uint8Array;
}

function connectionLine(keepAlive: boolean, old: boolean): string {
  if (!keepAlive) return 'connection: close\r\n';
  return old ? 'connection: keep-alive\r\n' : '';
}

function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

/** What a body would have had, where it is known. https://www.rfc-editor.org/rfc/rfc9110#name-content-length */
function lengthLine({ status, headers, body }: WrittenAnswer | Response): string {
  if (isBodiless(status)) return '';
  if (headers instanceof Headers) {
    const said = headers.get('content-length');
    return said === null || !/^\d+$/.test(said) ? '' : `content-length: ${said}\r\n`;
  }
  if (body === null) return 'content-length: 0\r\n';
  return typeof body === 'string' || body instanceof Uint8Array
    ? `content-length: ${Buffer.byteLength(body)}\r\n`
    : '';
}

/** Whoever would have written the body hears that nobody wants it. */
export function dropBody({ body }: WrittenAnswer | Response): Promise<void> | undefined {
  if (typeof body === 'function') return body({ gone: true, write: () => undefined });
  if (body instanceof ReadableStream) return body.cancel();
  if (body !== null && typeof body === 'object' && Symbol.asyncIterator in body) {
    return Promise.resolve(body[Symbol.asyncIterator]().return?.()).then(() => {});
  }
  return undefined;
}

async function write(flow: Flow, outlet: PlainOutlet): Promise<void> {
  const writing = flow(outlet);
  // Whatever the first part waits for, the client knows already that it is coming.
  outlet.begin();
  await writing;
  outlet.end();
}

/** Parts as a flow. */
function pour(parts: AsyncIterable<Part>, request: Incoming): Flow {
  return async (out) => {
    // A stream's reader can be told at once that the client has gone, its iterator only between two parts.
    const reader = parts instanceof ReadableStream ? (parts as ReadableStream<Part>).getReader() : undefined;
    const iterator = reader === undefined ? parts[Symbol.asyncIterator]() : undefined;
    request.onGone = () => {
      reader?.cancel().catch(() => {});
      iterator?.return?.().catch(() => {});
    };
    while (!out.gone) {
      const { done, value } = await (reader === undefined ? iterator!.next() : reader.read());
      if (done) return;
      const room = out.write(value);
      if (room !== undefined) await room;
    }
  };
}

/** Parts as they are: the end of the connection is the end of the body. */
class PlainOutlet implements Outlet {
  constructor(
    private readonly request: Incoming,
    protected readonly out: Outflow,
    /** What has not been written yet of what stands before the parts. */
    protected head: string,
  ) {}

  get gone(): boolean {
    return this.request.gone;
  }

  write(part: Part): Promise<void> | undefined {
    this.out.writePart(this.head, part);
    this.head = '';
    return this.out.room();
  }

  begin(): void {
    if (this.head !== '') this.out.writeText(this.head);
    this.head = '';
  }

  end(): void {}
}

/** Parts as chunks. https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding */
class ChunkedOutlet extends PlainOutlet {
  override write(part: Part): Promise<void> | undefined {
    // An empty chunk would be the last one.
    if (part.length > 0) {
      this.out.writeChunk(this.head, part);
      this.head = '';
    }
    return this.out.room();
  }

  override end(): void {
    this.out.write(lastChunk);
  }
}

const lastChunk = Buffer.from('0\r\n\r\n', 'latin1');
