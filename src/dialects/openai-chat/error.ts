/** Errors as OpenAI writes them: https://platform.openai.com/docs/guides/error-codes */
import type { ErrorKind, GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';

const invalid = 'invalid_request_error';

/** `type` and `code` of each kind; an undefined code: the error's own, if it has one. */
const words: Readonly<Record<ErrorKind, readonly [type: string, code: string | undefined]>> = {
  bad_request: [invalid, undefined],
  unauthorized: [invalid, 'invalid_api_key'],
  forbidden: [invalid, 'permission_denied'],
  not_found: [invalid, 'model_not_found'],
  method_not_allowed: [invalid, 'method_not_allowed'],
  too_large: [invalid, 'request_too_large'],
  rate_limited: ['rate_limit_error', 'rate_limit_exceeded'],
  budget_exceeded: ['insufficient_quota', 'insufficient_quota'],
  cancelled: [invalid, 'cancelled'],
  unsupported: [invalid, 'unsupported'],
  context_length: [invalid, 'context_length_exceeded'],
  upstream_bad_request: [invalid, undefined],
  upstream_content_filter: [invalid, 'content_filter'],
  upstream_not_found: [invalid, 'model_not_found'],
  upstream_auth: ['server_error', 'upstream_auth'],
  upstream_quota: ['insufficient_quota', 'insufficient_quota'],
  upstream_rate_limited: ['rate_limit_error', 'rate_limit_exceeded'],
  upstream_overloaded: ['server_error', 'overloaded'],
  upstream_unavailable: ['server_error', 'upstream_unavailable'],
  upstream_stale: ['server_error', 'upstream_unavailable'],
  upstream_network: ['server_error', 'upstream_unavailable'],
  upstream_timeout: ['server_error', 'timeout'],
  upstream_invalid: ['server_error', 'upstream_invalid'],
  unavailable: ['server_error', 'unavailable'],
  draining: ['server_error', 'draining'],
  internal: ['server_error', 'internal_error'],
};

/** The gateway's own kinds take the code of the error itself before the table's. */
const ownCode: ReadonlySet<ErrorKind> = new Set([
  'bad_request',
  'forbidden',
  'not_found',
  'unauthorized',
  'unsupported',
]);

/** `{error:{message,type,param,code}}` with the status of the error. */
export function writeError(error: GatewayError, requestId: string): { status: number; body: JsonObject } {
  const [type, code] = words[error.kind];
  const own = ownCode.has(error.kind) ? error.detail.code : undefined;
  const message =
    error.kind === 'internal' && requestId !== '' ? `${error.message} (${requestId})` : error.message;
  return {
    status: error.status,
    body: {
      error: { message, type, param: error.detail.param ?? null, code: own ?? code ?? upstreamCode(error) },
    },
  };
}

/** A provider's code where it is one; error types of other dialects are not. */
function upstreamCode(error: GatewayError): string | null {
  const { code } = error.detail;
  return code === undefined || code.endsWith('_error') ? null : code;
}

/** An error inside a stream that has begun. Nothing follows it: a last `[DONE]` would make the answer look whole. */
export function writeStreamError(error: GatewayError, requestId: string): string {
  return `data: ${JSON.stringify(writeError(error, requestId).body)}\n\n`;
}
