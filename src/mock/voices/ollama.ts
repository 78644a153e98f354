/** Failures as Ollama words them: a text. */
import { type ErrorKind, type Failing, retryAfter } from '../errors.ts';
import { unnamed, type Voice } from '../wire.ts';

const failures: Record<ErrorKind, Failing> = {
  bad_request: [400, 'invalid request'],
  context_length: [400, 'the input length exceeds the context length'],
  content_filter: [400, 'the request was refused'],
  auth: [401, 'unauthorized'],
  billing: [402, 'this model requires a subscription'],
  permission: [403, 'forbidden'],
  not_found: [404, 'model not found'],
  method: [405, 'method not allowed'],
  timeout: [504, 'the model took too long to load'],
  too_large: [413, 'http: request body too large'],
  rate_limit: [429, 'too many concurrent requests'],
  server: [500, 'llama runner process has terminated'],
  overloaded: [503, 'server busy, please try again. maximum pending requests exceeded'],
};

export const ollama: Voice = {
  failures,
  amid: 'server',
  body: ({ message }) => ({ error: message }),
  headers: retryAfter,
  events: ({ message }) => [unnamed({ error: message })],
  unknownModel: (model) => `model '${model}' not found`,
  notJson: 'invalid character: the body is not valid JSON',
  notThere: () => '404 page not found',
};
