/** Failures as Anthropic words them. */
import type { Refusal } from '../ask.ts';
import { type ErrorKind, type Failing, retryAfter } from '../errors.ts';
import { typed, type Voice } from '../wire.ts';

const invalid = 'invalid_request_error';

const failures: Record<ErrorKind, Failing> = {
  bad_request: [400, 'The request is invalid.', invalid],
  context_length: [400, 'prompt is too long: 9000 tokens > 8192 maximum', invalid],
  content_filter: [400, 'Output blocked by content filtering policy', invalid],
  auth: [401, 'invalid x-api-key', 'authentication_error'],
  billing: [400, 'Your credit balance is too low to access the Anthropic API.', invalid],
  permission: [403, 'You are not allowed to use this model.', 'permission_error'],
  not_found: [404, 'model: not found', 'not_found_error'],
  method: [405, 'Method Not Allowed', invalid],
  timeout: [504, 'The request timed out.', 'timeout_error'],
  too_large: [413, 'Request exceeds the maximum size', 'request_too_large'],
  rate_limit: [429, 'This request would exceed the rate limit of your organization.', 'rate_limit_error'],
  server: [500, 'Internal server error', 'api_error'],
  overloaded: [529, 'Overloaded', 'overloaded_error'],
};

function membersOf({ kind, message }: Refusal, requestId: string): object {
  return { error: { type: failures[kind][2], message }, request_id: requestId };
}

export const anthropic: Voice = {
  failures,
  amid: 'overloaded',
  idHeader: 'request-id',
  body: (refusal, requestId) => ({ type: 'error', ...membersOf(refusal, requestId) }),
  headers: retryAfter,
  events: (refusal, requestId) => [typed('error', membersOf(refusal, requestId))],
  unknownModel: (model) => `model: ${model}`,
  notJson: 'The request body is not valid JSON',
  notThere: () => 'Not Found',
};
