/** The failures the mock can play, in the words of each wire. */
import type { Refusal, Wire } from './ask.ts';

interface WireError {
  status: number;
  type: string;
  /** OpenAI's machine-readable word. */
  code?: string;
  message: string;
}

const openai: Record<string, WireError> = {
  bad_request: { status: 400, type: 'invalid_request_error', message: 'The request is invalid.' },
  context_length: {
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
    message:
      "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
  },
  content_filter: {
    status: 400,
    type: 'invalid_request_error',
    code: 'content_policy_violation',
    message: 'Your request was rejected by the safety system.',
  },
  auth: {
    status: 401,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
    message: 'Incorrect API key provided.',
  },
  billing: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    message: 'You exceeded your current quota, please check your plan and billing details.',
  },
  permission: {
    status: 403,
    type: 'invalid_request_error',
    message: 'You are not allowed to use this model.',
  },
  not_found: {
    status: 404,
    type: 'invalid_request_error',
    code: 'model_not_found',
    message: 'The model does not exist or you do not have access to it.',
  },
  method: {
    status: 405,
    type: 'invalid_request_error',
    code: 'method_not_supported',
    message: 'Not allowed.',
  },
  timeout: { status: 408, type: 'server_error', message: 'The request timed out.' },
  too_large: { status: 413, type: 'invalid_request_error', message: 'The request is too large.' },
  rate_limit: {
    status: 429,
    type: 'requests',
    code: 'rate_limit_exceeded',
    message: 'Rate limit reached for requests. Please try again later.',
  },
  server: {
    status: 500,
    type: 'server_error',
    message: 'The server had an error while processing your request.',
  },
  overloaded: {
    status: 503,
    type: 'server_error',
    message: 'The engine is currently overloaded, please try again later.',
  },
};

const anthropic: Record<string, WireError> = {
  bad_request: { status: 400, type: 'invalid_request_error', message: 'The request is invalid.' },
  context_length: {
    status: 400,
    type: 'invalid_request_error',
    message: 'prompt is too long: 9000 tokens > 8192 maximum',
  },
  content_filter: {
    status: 400,
    type: 'invalid_request_error',
    message: 'Output blocked by content filtering policy',
  },
  auth: { status: 401, type: 'authentication_error', message: 'invalid x-api-key' },
  billing: {
    status: 400,
    type: 'invalid_request_error',
    message: 'Your credit balance is too low to access the Anthropic API.',
  },
  permission: { status: 403, type: 'permission_error', message: 'You are not allowed to use this model.' },
  not_found: { status: 404, type: 'not_found_error', message: 'model: not found' },
  method: { status: 405, type: 'invalid_request_error', message: 'Method Not Allowed' },
  timeout: { status: 504, type: 'timeout_error', message: 'The request timed out.' },
  too_large: { status: 413, type: 'request_too_large', message: 'Request exceeds the maximum size' },
  rate_limit: {
    status: 429,
    type: 'rate_limit_error',
    message: 'This request would exceed the rate limit of your organization.',
  },
  server: { status: 500, type: 'api_error', message: 'Internal server error' },
  overloaded: { status: 529, type: 'overloaded_error', message: 'Overloaded' },
};

const tables: Record<Wire, Record<string, WireError>> = { openai, anthropic };

export const errorKinds: readonly string[] = Object.keys(openai);

const kindOfStatus: Record<number, string> = {
  400: 'bad_request',
  401: 'auth',
  403: 'permission',
  404: 'not_found',
  405: 'method',
  408: 'timeout',
  413: 'too_large',
  429: 'rate_limit',
  503: 'overloaded',
  504: 'timeout',
  529: 'overloaded',
};

/** The kind a bare status stands for. */
export function kindOf(status: number): string {
  return kindOfStatus[status] ?? (status < 500 ? 'bad_request' : 'server');
}

/** @param status 0: the one the wire's provider uses for this kind. */
export function failure(wire: Wire, kind: string, status = 0): Refusal {
  const { message, code, status: usual } = tables[wire][kind] as WireError;
  return { kind, message, code, status: status === 0 ? usual : status };
}

/** An error's body, as an object for the wire. */
export function errorBody(wire: Wire, refusal: Refusal, requestId: string): object {
  const type = (tables[wire][refusal.kind] as WireError).type;
  if (wire === 'anthropic') {
    return { type: 'error', error: { type, message: refusal.message }, request_id: requestId };
  }
  const { message, param = null, code = null } = refusal;
  return { error: { message, type, param, code } };
}
