/** Failures as OpenAI words them, on each of its wires, and as Azure does. */
import type { Refusal } from '../ask.ts';
import { type ErrorKind, type Failing, retryAfter } from '../errors.ts';
import { typed, unnamed, type Voice } from '../wire.ts';

const invalid = 'invalid_request_error';

const failures: Record<ErrorKind, Failing> = {
  bad_request: [400, 'The request is invalid.', invalid],
  context_length: [
    400,
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    invalid,
    'context_length_exceeded',
  ],
  content_filter: [
    400,
    'Your request was rejected by the safety system.',
    invalid,
    'content_policy_violation',
  ],
  auth: [401, 'Incorrect API key provided.', invalid, 'invalid_api_key'],
  billing: [
    429,
    'You exceeded your current quota, please check your plan and billing details.',
    'insufficient_quota',
    'insufficient_quota',
  ],
  permission: [403, 'You are not allowed to use this model.', invalid],
  not_found: [404, 'The model does not exist or you do not have access to it.', invalid, 'model_not_found'],
  method: [405, 'Not allowed.', invalid, 'method_not_supported'],
  timeout: [408, 'The request timed out.', 'server_error'],
  too_large: [413, 'The request is too large.', invalid],
  rate_limit: [
    429,
    'Rate limit reached for requests. Please try again later.',
    'requests',
    'rate_limit_exceeded',
  ],
  server: [500, 'The server had an error while processing your request.', 'server_error'],
  overloaded: [503, 'The engine is currently overloaded, please try again later.', 'server_error'],
};

function errorOf({ kind, message, param, code }: Refusal): object {
  return { message, type: failures[kind][2], param: param ?? null, code: code ?? null };
}

export const openai: Voice = {
  failures,
  amid: 'server',
  idHeader: 'x-request-id',
  body: (refusal) => ({ error: errorOf(refusal) }),
  headers: retryAfter,
  events: (refusal) => [unnamed({ error: errorOf(refusal) })],
  unknownModel: (model) => `The model \`${model}\` does not exist`,
  notJson: 'We could not parse the JSON body of your request. The OpenAI API expects a JSON payload.',
  notThere: (method, path) => `Invalid URL (${method} ${path})`,
};

/** Responses report a failure twice: as an event of its own, and as the state of the answer. */
export const openaiResponses: Voice = {
  ...openai,
  events: (refusal, _requestId, { id, created, model }, after) => {
    const { message, code = 'server_error' } = refusal;
    const response = { id, object: 'response', created_at: created, model, status: 'failed', output: [] };
    return [
      typed('error', { sequence_number: after, error: errorOf({ ...refusal, code }) }),
      typed('response.failed', {
        sequence_number: after + 1,
        response: { ...response, error: { code, message }, incomplete_details: null, usage: null },
      }),
    ];
  },
};

const azureCodes: Partial<Record<ErrorKind, string>> = {
  auth: '401',
  not_found: 'DeploymentNotFound',
  rate_limit: 'RateLimitReached',
  content_filter: 'content_filter',
};

/** Azure's gateway answers for some failures itself, in fewer words. */
export const azure: Voice = {
  ...openai,
  body: (refusal) => {
    const code = azureCodes[refusal.kind];
    return code === undefined ? openai.body(refusal, '') : { error: { code, message: refusal.message } };
  },
  headers: (refusal) => {
    const { retryAfterS } = refusal;
    return retryAfterS === undefined
      ? {}
      : { ...retryAfter(refusal), 'retry-after-ms': String(retryAfterS * 1000) };
  },
  unknownModel: () => 'The API deployment for this resource does not exist.',
  notThere: () => 'Resource not found',
};
