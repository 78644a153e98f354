/** One socket to a server, carrying one exchange at a time. */
import type { Socket } from 'bun';
import { copyRange } from '../bytes.ts';
import type { Carrier, Exchange } from './exchange.ts';
import { HttpError } from './head.ts';
import type { HttpPool, Origin } from './pool.ts';
import { framed, framingLine, isStreamed, type RequestBody, type StreamedBody } from './streamed.ts';
import { Unsent } from './unsent.ts';

/** A request up to this size leaves in one write. */
const joinedBytes = 64 * 1024;
/** A streamed body waits while more than this has not left yet. */
const maxUnsentBytes = 512 * 1024;

export class Connection implements Carrier {
  private socket!: Socket<Connection>;
  private exchange: Exchange | undefined;
  /** It has waited for work before. */
  private reused = false;
  /** What the socket has not taken yet. */
  private readonly unsent = new Unsent();
  /** Nothing follows what is unsent. */
  private ending = false;
  /** The request has not been sent whole. */
  private streaming = false;
  /** Told when there is room for more of it, or no use in it. */
  private onRoom: (() => void) | undefined;
  private closed = false;
  private reason: unknown;
  /** The server has proven who it is. Nothing is sent before. */
  private readonly secured = Promise.withResolvers<void>();

  private constructor(
    private readonly origin: Origin,
    private readonly pool: HttpPool,
  ) {
    // Whether anybody waits for it depends on what fails first.
    this.secured.promise.catch(() => {});
  }

  get unsentBytes(): number {
    return this.unsent.bytes;
  }

  /**
   * @param wanted rejects when nobody waits for the connection any more.
   * @throws HttpError `refused`, `not_found`, `tls`.
   */
  static async open(origin: Origin, pool: HttpPool, wanted: Promise<unknown>): Promise<Connection> {
    const connection = new Connection(origin, pool);
    if (origin.tls) wanted.catch(connection.secured.reject);
    try {
      connection.socket = await Bun.connect<Connection>({
        hostname: origin.host,
        port: origin.port,
        data: connection,
        socket: handlers,
        ...(origin.tls ? { tls: { serverName: origin.serverName ?? origin.host } } : {}),
      });
      if (origin.tls) await connection.secured.promise;
    } catch (cause) {
      // A handshake may have been given up in the middle of it.
      connection.socket?.terminate();
      throw connectError(cause);
    }
    // It is the clients' connections that keep a gateway alive.
    connection.socket.unref();
    if (connection.closed) throw connectError(connection.reason);
    return connection;
  }

  carry(exchange: Exchange, head: string, body: RequestBody): void {
    if (!exchange.attach(this)) {
      this.release(true);
      return;
    }
    this.exchange = exchange;
    if (body === undefined) this.write(Buffer.from(`${head}\r\n`, 'latin1'));
    else if (isStreamed(body)) void this.stream(exchange, head, body);
    else this.send(head, body);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  release(reusable: boolean): void {
    this.exchange = undefined;
    if (this.closed) return;
    // What was not sent belongs to a request whose answer did not wait for it.
    if (!reusable || this.unsentBytes > 0 || this.streaming) {
      this.socket.terminate();
      return;
    }
    this.reused = true;
    this.pool.giveBack(this.origin, this);
  }

  end(): void {
    if (this.unsentBytes > 0) this.ending = true;
    else this.socket.end();
  }

  received(bytes: Uint8Array): void {
    // Nobody asked: whatever it is, it must not become part of the next answer.
    if (this.exchange === undefined) this.socket.terminate();
    else this.exchange.push(bytes);
  }

  sendRest(): void {
    if (this.unsent.bytes === 0 || !this.unsent.sendTo(this.socket)) return;
    this.onRoom?.();
    if (this.ending) this.socket.end();
    else this.exchange?.drained();
  }

  handshaken(trusted: boolean, error: Error | null): void {
    if (trusted && error === null) this.secured.resolve();
    else {
      this.secured.reject(error ?? new Error('the TLS handshake failed'));
      this.socket?.terminate();
    }
  }

  failed(error: unknown): void {
    this.reason = error;
  }

  ended(): void {
    if (this.closed) return;
    this.closed = true;
    this.onRoom?.();
    if (this.origin.tls) this.secured.reject(this.reason ?? new Error('the TLS handshake was cut short'));
    this.pool.forget(this.origin, this);
    const { exchange } = this;
    if (exchange === undefined) return;
    const stale = this.reused && !exchange.begun;
    // Its neighbours have waited as long.
    if (stale) this.pool.endIdle(this.origin);
    exchange.close(
      new HttpError(
        stale ? 'stale' : 'closed',
        stale
          ? 'a connection that was kept open turned out to be closed'
          : 'the connection was closed before the answer was complete',
        { cause: this.reason },
      ),
    );
  }

  private send(head: string, body: Uint8Array | string): void {
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    const start = `${head}content-length: ${size}\r\n\r\n`;
    if (typeof body === 'string') {
      this.write(Buffer.from(start + body));
      return;
    }
    if (size > joinedBytes) {
      this.write(Buffer.from(start, 'latin1'));
      this.write(body);
      return;
    }
    const all = Buffer.allocUnsafe(start.length + size);
    all.write(start, 0, 'latin1');
    copyRange(body, 0, size, all, start.length);
    this.write(all);
  }

  /** Sends no faster than the server takes it, and no more once it has answered. */
  private async stream(exchange: Exchange, head: string, body: StreamedBody): Promise<void> {
    this.streaming = true;
    this.write(Buffer.from(`${head}${framingLine(body)}\r\n`, 'latin1'));
    try {
      for await (const bytes of framed(body)) {
        if (exchange.over) return;
        this.write(bytes);
        if (this.unsentBytes > maxUnsentBytes && !this.closed) await this.room();
      }
      this.streaming = false;
    } catch (cause) {
      exchange.fail(new HttpError('aborted', 'the request could not be sent whole', { cause }));
    }
  }

  private room(): Promise<void> {
    return new Promise((resolve) => {
      this.onRoom = resolve;
    });
  }

  write(bytes: Uint8Array): void {
    if (this.closed || this.ending) return;
    const taken = this.unsentBytes > 0 ? 0 : Math.max(0, this.socket.write(bytes));
    if (taken === bytes.length) return;
    this.unsent.add(taken === 0 ? bytes : bytes.subarray(taken));
  }
}

const handlers = {
  // A Buffer costs several times as much to make, and to take parts of.
  binaryType: 'uint8array' as const,
  data: (socket: Socket<Connection>, bytes: Uint8Array) => socket.data.received(bytes),
  drain: (socket: Socket<Connection>) => socket.data.sendRest(),
  error: (socket: Socket<Connection>, error: Error) => socket.data.failed(error),
  close: (socket: Socket<Connection>, error?: Error) => {
    if (error !== undefined) socket.data.failed(error);
    socket.data.ended();
  },
  connectError: () => {},
  handshake: (socket: Socket<Connection>, trusted: boolean, error: Error | null) =>
    socket.data.handshaken(trusted, error),
};

function connectError(cause: unknown): HttpError {
  const { code, message } = (cause ?? {}) as { code?: string; message?: string };
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code?.startsWith('DNS_')) {
    return new HttpError('not_found', 'its host name cannot be resolved', { cause });
  }
  if (
    code?.includes('CERT') ||
    code?.includes('TLS') ||
    code?.includes('SSL') ||
    /certificate|handshake/i.test(message ?? '')
  ) {
    return new HttpError('tls', `it could not prove who it is (${message ?? code})`, { cause });
  }
  if (cause === undefined) return new HttpError('tls', 'the connection was closed while it was being set up');
  return new HttpError('refused', `the connection was refused (${code ?? message})`, { cause });
}
