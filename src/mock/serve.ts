/**
 * The mock behind a socket. On node:http rather than Bun.serve, which holds headers back until the first byte of the
 * body and cannot send less than the announced length: faults shall be real on the wire.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { joinPieces } from './answer.ts';
import { createMock, type Mock, type MockOptions } from './mock.ts';
import { decodeBody } from './operations.ts';
import { ConnectionReset, hangsUp, isImmediate, play, Visit } from './play.ts';
import { answerUpgrade } from './realtime/socket.ts';
import type { Incoming } from './routes.ts';

const bodyLimitBytes = 64 * 1024 * 1024;

export interface MockServer {
  mock: Mock;
  /** `http://127.0.0.1:4010`, without a trailing slash. */
  url: string;
  /** Ends every connection at once. */
  stop(): Promise<void>;
}

/**
 * @param options.port 0 (the default) takes a free one.
 * @throws the system's error when the port cannot be had (`code: 'EADDRINUSE'`).
 */
export async function startMock(
  options: MockOptions & { port?: number; host?: string } = {},
): Promise<MockServer> {
  const mock = createMock(options);
  const server = createServer((request, response) => {
    receive(request, (body) => {
      send(mock, incomingOf(request, body), response).catch((fault) => {
        // A fault of the mock itself costs one connection, not the server.
        process.stderr.write(`sluice mock: ${fault}\n`);
        response.destroy();
      });
    });
  });
  const sockets = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    answerUpgrade(mock.open(incomingOf(request, '')), socket, head).catch((fault) => {
      process.stderr.write(`sluice mock: ${fault}\n`);
      socket.destroy();
    });
  });
  server.requestTimeout = 0;
  server.keepAliveTimeout = 0;
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    mock,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function receive(request: IncomingMessage, whole: (body: string) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > bodyLimitBytes) request.destroy();
    else chunks.push(chunk);
  });
  const type = request.headers['content-type'];
  request.on('end', () => whole(decodeBody(Buffer.concat(chunks), type)));
}

function incomingOf(request: IncomingMessage, body: string): Incoming {
  const { method = 'GET', url = '/', headers } = request;
  return {
    method,
    path: url,
    header: (name) => headers[name]?.toString(),
    headers: () => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    body,
  };
}

async function send(mock: Mock, incoming: Incoming, response: ServerResponse): Promise<void> {
  const answer = mock.answer(incoming);
  if (isImmediate(answer)) {
    mock.counters.finished++;
    response.writeHead(answer.status, answer.headers);
    response.end(joinPieces(answer));
    return;
  }
  const visit = new Visit(mock.counters);
  response.on('close', () => visit.leave());
  await visit.wait(answer.beforeMs);
  if (visit.left) return;
  if (hangsUp(answer)) {
    visit.finish();
    resetSocket(response);
    return;
  }
  const { announced } = answer;
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(announced !== undefined && { 'content-length': String(announced) }),
  });
  response.flushHeaders();
  try {
    for await (const piece of play(answer, visit)) {
      if (!response.write(piece)) await drained(response);
    }
    response.end();
  } catch (thrown) {
    if (!(thrown instanceof ConnectionReset)) throw thrown;
    // An answer shorter than announced is closed properly; anything else is torn down.
    if (announced === undefined) resetSocket(response);
    else response.socket?.destroySoon();
  }
}

/** RST instead of FIN: the peer reads ECONNRESET. */
function resetSocket(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go);
      response.off('close', go);
      resolve();
    };
    response.on('drain', go);
    response.on('close', go);
  });
}
