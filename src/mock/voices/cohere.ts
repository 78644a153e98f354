/** Failures as Cohere words them. */
import { type ErrorKind, type Failing, retryAfter } from '../errors.ts';
import { typed, type Voice } from '../wire.ts';

const failures: Record<ErrorKind, Failing> = {
  bad_request: [400, 'invalid request'],
  context_length: [
    400,
    'too many tokens: the total number of tokens must be less than 8192, but received 9000.',
    undefined,
    'TOO_MANY_TOKENS',
  ],
  content_filter: [422, 'the request was blocked by the content policy'],
  auth: [401, 'invalid api token'],
  billing: [402, 'Please add or update your payment method to continue.'],
  permission: [403, 'you do not have access to this model'],
  not_found: [404, 'model not found'],
  method: [405, 'method not allowed'],
  timeout: [504, 'the request timed out'],
  too_large: [413, 'the request is too large'],
  rate_limit: [429, 'You have reached the rate limit of your key. Please wait and try again later.'],
  server: [500, 'internal server error'],
  overloaded: [503, 'the service is currently overloaded, please try again later'],
};

export const cohere: Voice = {
  failures,
  amid: 'server',
  body: ({ message, code }, requestId) => ({
    ...(code !== undefined && { error_type: code }),
    id: requestId,
    message,
  }),
  headers: retryAfter,
  events: ({ message }) => [
    typed('message-end', { delta: { error: message, finish_reason: 'ERROR' } }),
    { name: '', data: '[DONE]' },
  ],
  unknownModel: (model) =>
    `model '${model}' not found, make sure the correct model ID was used and that you have access to the model.`,
  notJson: 'invalid request: the body is not valid JSON',
  notThere: () => 'not found',
};
