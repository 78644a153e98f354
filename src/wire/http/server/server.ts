/** A server of HTTP/1.1: the listening socket, and all its connections. https://www.rfc-editor.org/rfc/rfc9112 */
import type { Socket, TCPSocketListener } from 'bun';
import { type House, ServerConnection } from './connection.ts';
import type { Patience } from './line.ts';

export interface HttpServerOptions {
  host: string;
  /** 0: one that is free. */
  port: number;
  answer: House['answer'];
  failed: House['failed'];
  patience?: Patience;
}

/** How often connections are looked at: one sweep for all, no timer for any. */
const tickMs = 1000;
const defaultPatience: Patience = { requestMs: 60_000, idleMs: 600_000, lastMs: 5000 };

export class HttpServer implements House {
  readonly answer: House['answer'];
  readonly failed: House['failed'];
  readonly patience: Patience;
  readonly port: number;
  nowMs = performance.now();
  closing = false;
  private readonly connections = new Set<ServerConnection>();
  private readonly listener: TCPSocketListener<ServerConnection>;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly emptied = Promise.withResolvers<void>();

  /** @throws Error of the operating system when the address is taken or not ours. */
  constructor({ host, port, answer, failed, patience = defaultPatience }: HttpServerOptions) {
    this.answer = answer;
    this.failed = failed;
    this.patience = patience;
    const opened = (socket: Socket<ServerConnection>) => this.opened(socket);
    const closed = (socket: Socket<ServerConnection>) => this.closed(socket.data);
    const handlers = { ...connectionHandlers, open: opened, close: closed };
    try {
      this.listener = Bun.listen<ServerConnection>({ hostname: host, port, socket: handlers });
    } catch (error) {
      // A name that no address is known for has none.
      throw Object.assign(error as Error, { code: (error as { code?: string }).code ?? 'EADDRNOTAVAIL' });
    }
    this.port = this.listener.port;
  }

  /**
   * Accepts no more connections. Requests that come on those there are are answered, each as the last of its
   * connection, so that a load balancer which keeps connections open finds out without losing one: closed while idle,
   * a connection may be closed on a request that is on its way.
   * Resolves when none is left, at the latest after `lingerMs`.
   */
  async retire(lingerMs = 0): Promise<void> {
    this.closing = true;
    this.listener.stop();
    this.rest();
    if (lingerMs > 0) await Promise.race([this.emptied.promise, Bun.sleep(lingerMs)]);
  }

  /**
   * Accepts no more. Idle connections are ended, the others when their answer is out; with `force` all are cut.
   * Resolves when none is left.
   */
  stop(force: boolean): Promise<void> {
    if (!this.closing) void this.retire();
    for (const connection of this.connections) {
      if (force) connection.cut();
      else connection.endIdle();
    }
    this.rest();
    return this.emptied.promise;
  }

  private opened(socket: Socket<ServerConnection>): void {
    if (this.timer === undefined) {
      this.nowMs = performance.now();
      this.timer = setInterval(() => this.sweep(), Math.min(tickMs, this.patience.requestMs / 4));
      this.timer.unref();
    }
    const connection = new ServerConnection(socket, this);
    socket.data = connection;
    this.connections.add(connection);
  }

  private closed(connection: ServerConnection): void {
    this.connections.delete(connection);
    connection.closed();
    this.rest();
  }

  private sweep(): void {
    this.nowMs = performance.now();
    for (const connection of this.connections) connection.check();
  }

  private rest(): void {
    if (this.connections.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
    if (this.closing) this.emptied.resolve();
  }
}

const connectionHandlers = {
  // A Buffer costs several times as much to make, and to take parts of.
  binaryType: 'uint8array',
  data: (socket: Socket<ServerConnection>, bytes: Uint8Array) => socket.data.received(bytes),
  drain: (socket: Socket<ServerConnection>) => socket.data.drained(),
  // Whatever it is, the connection is closed after it.
  error: () => {},
} as const;
