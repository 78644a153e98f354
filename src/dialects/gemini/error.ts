/** Errors as Google writes them: `{error:{code, message, status, details}}`. https://google.aip.dev/193 */
import type { ErrorKind, GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';

/** https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto */
const words: Readonly<Record<ErrorKind, string>> = {
  bad_request: 'INVALID_ARGUMENT',
  unauthorized: 'UNAUTHENTICATED',
  forbidden: 'PERMISSION_DENIED',
  not_found: 'NOT_FOUND',
  method_not_allowed: 'UNIMPLEMENTED',
  too_large: 'INVALID_ARGUMENT',
  rate_limited: 'RESOURCE_EXHAUSTED',
  budget_exceeded: 'RESOURCE_EXHAUSTED',
  cancelled: 'CANCELLED',
  unsupported: 'INVALID_ARGUMENT',
  context_length: 'INVALID_ARGUMENT',
  upstream_bad_request: 'INVALID_ARGUMENT',
  upstream_content_filter: 'INVALID_ARGUMENT',
  upstream_not_found: 'NOT_FOUND',
  upstream_auth: 'INTERNAL',
  upstream_quota: 'RESOURCE_EXHAUSTED',
  upstream_rate_limited: 'RESOURCE_EXHAUSTED',
  upstream_overloaded: 'UNAVAILABLE',
  upstream_unavailable: 'UNAVAILABLE',
  upstream_stale: 'UNAVAILABLE',
  upstream_network: 'UNAVAILABLE',
  upstream_timeout: 'DEADLINE_EXCEEDED',
  upstream_invalid: 'INTERNAL',
  unavailable: 'UNAVAILABLE',
  draining: 'UNAVAILABLE',
  internal: 'INTERNAL',
};

const rpc = 'type.googleapis.com/google.rpc';

export function writeError(error: GatewayError, requestId: string): { status: number; body: JsonObject } {
  const { kind, status, detail } = error;
  const message = messageOf(error);
  const details: JsonObject[] = [];
  if (detail.param !== undefined) {
    const fieldViolations = [{ field: detail.param, description: error.message }];
    details.push({ '@type': `${rpc}.BadRequest`, fieldViolations });
  }
  if (detail.retryAfterS !== undefined) {
    details.push({ '@type': `${rpc}.RetryInfo`, retryDelay: `${Math.ceil(detail.retryAfterS)}s` });
  }
  if (requestId !== '') details.push({ '@type': `${rpc}.RequestInfo`, requestId });
  return { status, body: { error: { code: status, message, status: words[kind], details } } };
}

/** An error inside a stream that has begun. Nothing follows it. */
export function writeStreamError(error: GatewayError, requestId: string): string {
  return `data: ${JSON.stringify(writeError(error, requestId).body)}\r\n\r\n`;
}

function messageOf({ kind, message }: GatewayError): string {
  // The words by which clients notice that the conversation must be shortened.
  if (kind === 'context_length' && !/input token count/i.test(message)) {
    return `The input token count exceeds the maximum number of tokens allowed: ${message}`;
  }
  return message;
}
