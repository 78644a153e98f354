/** A request in the web's own form, for whoever wants one. */
import type { ClientRequest } from './messages.ts';

export function webRequest(request: ClientRequest): Request {
  const { method, url, headers, body, signal } = request;
  const host = headers.get('host') ?? '';
  return new Request(`http://${plainHost.test(host) ? host : 'localhost'}${url === '*' ? '/' : url}`, {
    method,
    headers: [...headers] as [string, string][],
    // An async iterable is a body to Bun, though not to the types.
    body: body === null ? null : new Response(body as unknown as ReadableStream).body,
    signal,
  });
}

const plainHost = /^[\w.-]+(:\d{1,5})?$|^\[[\da-fA-F:.]+\](:\d{1,5})?$/;
