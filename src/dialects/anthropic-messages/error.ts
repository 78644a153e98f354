/** Errors in Anthropic's shape: `{type:'error', error:{type, message}, request_id}`. https://platform.claude.com/docs/en/api/errors */
import type { ErrorKind, GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';

const types: Readonly<Record<ErrorKind, string>> = {
  bad_request: 'invalid_request_error',
  unauthorized: 'authentication_error',
  forbidden: 'permission_error',
  not_found: 'not_found_error',
  method_not_allowed: 'invalid_request_error',
  too_large: 'request_too_large',
  rate_limited: 'rate_limit_error',
  budget_exceeded: 'rate_limit_error',
  cancelled: 'api_error',
  unsupported: 'invalid_request_error',
  context_length: 'invalid_request_error',
  upstream_bad_request: 'invalid_request_error',
  upstream_content_filter: 'invalid_request_error',
  upstream_not_found: 'not_found_error',
  upstream_auth: 'api_error',
  upstream_quota: 'billing_error',
  upstream_rate_limited: 'rate_limit_error',
  upstream_overloaded: 'overloaded_error',
  upstream_unavailable: 'api_error',
  upstream_stale: 'api_error',
  upstream_network: 'api_error',
  upstream_timeout: 'timeout_error',
  upstream_invalid: 'api_error',
  unavailable: 'api_error',
  draining: 'overloaded_error',
  internal: 'api_error',
};

/** Overload has a status of its own here. */
const overloadedStatus = 529;

export function writeError(error: GatewayError, requestId: string): { status: number; body: JsonObject } {
  const type = error.detail.status === 413 ? types.too_large : types[error.kind];
  return {
    status: error.kind === 'upstream_overloaded' ? overloadedStatus : error.status,
    body: { type: 'error', error: { type, message: messageOf(error) }, request_id: requestId },
  };
}

export function writeStreamError(error: GatewayError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(writeError(error, requestId).body)}\n\n`;
}

function messageOf(error: GatewayError): string {
  const { message, kind, detail } = error;
  // The words by which clients notice that the conversation must be shortened.
  if (kind === 'context_length' && !/prompt is too long/i.test(message))
    return `prompt is too long: ${message}`;
  // The shape has no member for the parameter.
  if (kind === 'bad_request' && detail.param !== undefined && !message.includes(detail.param)) {
    return `${detail.param}: ${message}`;
  }
  return message;
}
