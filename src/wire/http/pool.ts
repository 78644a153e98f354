/** Connections to upstream servers, kept open and used again: an HTTP/1.1 client without anything a gateway does not need. */
import { Connection } from './connection.ts';
import { Exchange } from './exchange.ts';
import type { HttpError } from './head.ts';
import { isStreamed, type RequestBody } from './streamed.ts';

export interface Origin {
  host: string;
  port: number;
  tls: boolean;
  /** `host[:port]` as the Host header has it. */
  authority: string;
  /** Name the server has to prove, where `host` is its address; otherwise `host`. */
  serverName?: string;
}

/** @param url absolute, http or https. @throws TypeError when it is none. */
export function originOf(url: string): Origin {
  const { protocol, hostname, port, host } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new TypeError(`${protocol} is neither http nor https`);
  const tls = protocol === 'https:';
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return { host: bare, port: port === '' ? (tls ? 443 : 80) : Number(port), tls, authority: host };
}

/** More than this waiting for work are closed. */
const maxIdle = 256;

export class HttpPool {
  private readonly idle = new Map<Origin, Connection[]>();

  /**
   * Sends a request; see Exchange for what becomes of it.
   * @param head request line and headers, each line with its CRLF, without Content-Length and the blank line.
   * @param decoding an answer that comes compressed is to be read as what it was before.
   */
  ask(origin: Origin, head: string, body: RequestBody, decoding = false): Exchange {
    const exchange = new Exchange(false, decoding);
    // What is streamed cannot be sent again, so it is not sent where it may turn out that nobody listens any more.
    const connection = isStreamed(body) ? undefined : this.takeIdle(origin);
    if (connection === undefined) void this.connect(origin, exchange, head, body);
    else connection.carry(exchange, head, body);
    return exchange;
  }

  /**
   * Asks, on a connection of its own, to go on in another protocol: where the answer is 101, both sides send what they
   * like from then on.
   * @param head as of `ask`.
   */
  switch(origin: Origin, head: string): Exchange {
    const exchange = new Exchange(true);
    void this.connect(origin, exchange, head, undefined);
    return exchange;
  }

  /** Closes connections that wait for work. */
  close(): void {
    for (const origin of this.idle.keys()) this.endIdle(origin);
  }

  /** A connection has come to the end of its exchange. */
  giveBack(origin: Origin, connection: Connection): void {
    let connections = this.idle.get(origin);
    if (connections === undefined) {
      connections = [];
      this.idle.set(origin, connections);
    }
    if (connections.length < maxIdle) connections.push(connection);
    else connection.end();
  }

  forget(origin: Origin, connection: Connection): void {
    const connections = this.idle.get(origin);
    const at = connections?.indexOf(connection) ?? -1;
    if (at >= 0) connections!.splice(at, 1);
  }

  /** Closes those of a server that wait for work. */
  endIdle(origin: Origin): void {
    for (const connection of this.idle.get(origin)?.splice(0) ?? []) connection.end();
  }

  private async connect(origin: Origin, exchange: Exchange, head: string, body: RequestBody): Promise<void> {
    try {
      const connection = await Connection.open(origin, this, exchange.answered);
      connection.carry(exchange, head, body);
    } catch (error) {
      exchange.fail(error as HttpError);
    }
  }

  /** The one used last: the others may rest until their servers close them. */
  private takeIdle(origin: Origin): Connection | undefined {
    return this.idle.get(origin)?.pop();
  }
}
