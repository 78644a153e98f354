/** The listening socket: path and method → operation and dialect; from here on every error speaks the client's language. */

import { GatewayError, toGatewayError } from '../core/error.ts';
import { newCallId } from '../core/id.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import { clientDialects } from '../dialects/index.ts';
import { operations } from '../dialects/operations/index.ts';
import { realtimePath } from '../dialects/realtime.ts';
import type { Answer, ClientRequest } from '../wire/http/server/messages.ts';
import { HttpServer } from '../wire/http/server/server.ts';
import { handleCount } from './count.ts';
import type { Gateway } from './gateway.ts';
import { handleChat } from './handle.ts';
import { handleKept } from './kept.ts';
import { listModels } from './models.ts';
import { handleObject, matchObject } from './objects/objects.ts';
import { handleOperation, operationDialect } from './operations/operate.ts';
import { handleRealtime } from './realtime/realtime.ts';
import { errorResponse } from './respond.ts';

export interface ServerOptions {
  host: string;
  port: number;
  /** Operators' pages: health, metrics. Undefined: not one of them. */
  operate(path: string, request: ClientRequest): Answer | Promise<Answer> | undefined;
}

export interface Server {
  url: string;
  port: number;
  /** Takes no more connections; those there are may ask for one more answer each, for as long as that. */
  retire(lingerMs: number): Promise<void>;
  /** Stops accepting; connections that are idle are closed, the others when their answer is out. */
  stop(force: boolean): Promise<void>;
}

/** @throws Error of the operating system when the address is taken or not ours. */
export function serve(gateway: Gateway, options: ServerOptions): Server {
  const server = new HttpServer({
    host: options.host,
    port: options.port,
    answer: (request) => route(request, gateway, options),
    // What a provider has broken off is no failure of the gateway.
    failed: (error) => {
      if (toGatewayError(error).kind === 'internal') gateway.observer.alarm('internal', { error });
    },
  });
  return {
    url: `http://${options.host}:${server.port}`,
    port: server.port,
    retire: (lingerMs) => server.retire(lingerMs),
    stop: (force) => server.stop(force),
  };
}

function route(request: ClientRequest, gateway: Gateway, options: ServerOptions): Answer | Promise<Answer> {
  const { path, query } = splitUrl(request.url);
  for (const dialect of clientDialects) {
    const asked = dialect.match(path, query);
    if (asked === undefined) continue;
    if (request.method === 'POST') {
      return asked.operation === 'count_tokens'
        ? handleCount(request, dialect, asked, gateway)
        : handleChat(request, dialect, asked, gateway);
    }
    return wrongMethod(request, path, dialect);
  }
  const operation = operations.get(path);
  if (operation !== undefined) {
    return request.method === 'POST'
      ? handleOperation(request, operation, gateway)
      : wrongMethod(request, path, operationDialect);
  }
  for (const each of clientDialects) {
    const { keeping } = each;
    if (keeping === undefined || !path.startsWith(keeping.path)) continue;
    return handleKept(request, path.slice(keeping.path.length), each, keeping, gateway);
  }
  const kept = matchObject(path, request.headers);
  if (kept !== undefined) return handleObject(request, kept, query, gateway);
  if (path === realtimePath) return handleRealtime(request, query, gateway);
  const operated = options.operate(path, request);
  if (operated !== undefined) return operated;
  const dialect = dialectAsked(request, path);
  // A verb that is not served is not a model that is posted to.
  const verb = request.method === 'POST' && path.includes(':');
  const list = verb ? undefined : modelLists(dialect).find((each) => isBelow(path, each));
  if (list !== undefined) return listModels(request, path, path.slice(list.length + 1), dialect, gateway);
  const error = new GatewayError(
    'not_found',
    `There is nothing at ${request.method} ${path}. This gateway serves POST ${served.join(', POST ')} and GET /v1/models, beside /v1/files, /v1/batches and GET /v1/realtime.`,
    { code: 'unknown_url' },
  );
  return errorResponse(error, dialect, undefined, newCallId());
}

function wrongMethod(request: ClientRequest, path: string, dialect: ClientDialect): Answer {
  const error = new GatewayError('method_not_allowed', `${path} takes POST, not ${request.method}.`);
  return errorResponse(error, dialect, undefined, newCallId());
}

const served = [...clientDialects.map(({ clientPath }) => clientPath), ...operations.keys()];

function splitUrl(url: string): { path: string; query: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

function modelLists({ modelsPaths = [] }: ClientDialect): readonly string[] {
  return ['/v1/models', ...modelsPaths];
}

function isBelow(path: string, list: string): boolean {
  return path === list || path.startsWith(`${list}/`);
}

/** Where the path does not tell, a header may. */
function dialectAsked(request: ClientRequest, path: string): ClientDialect {
  for (const dialect of clientDialects) {
    if (path.startsWith(dialect.clientPath)) return dialect;
    if (dialect.modelsPaths?.some((list) => isBelow(path, list))) return dialect;
    if (dialect.clientHeader !== undefined && request.headers.has(dialect.clientHeader)) return dialect;
  }
  return clientDialects[0]!;
}
