/** Failures as Amazon Bedrock words them: what kind they are stands in a header. */
import { type ErrorKind, type Failing, retryAfter } from '../errors.ts';
import type { Voice } from '../wire.ts';

const failures: Record<ErrorKind, Failing> = {
  bad_request: [400, 'The request is invalid.', 'ValidationException'],
  context_length: [
    400,
    'The model returned the following errors: Input is too long for requested model.',
    'ValidationException',
  ],
  content_filter: [400, 'The content of the request is not allowed.', 'ValidationException'],
  auth: [403, 'The security token included in the request is invalid.', 'UnrecognizedClientException'],
  billing: [400, 'You have exceeded your service quota.', 'ServiceQuotaExceededException'],
  permission: [
    403,
    "You don't have access to the model with the specified model ID.",
    'AccessDeniedException',
  ],
  not_found: [404, 'Could not resolve the foundation model.', 'ResourceNotFoundException'],
  method: [404, 'Unknown operation.', 'UnknownOperationException'],
  timeout: [408, 'The model took too long to respond.', 'ModelTimeoutException'],
  too_large: [413, 'The request is too large.', 'RequestEntityTooLargeException'],
  rate_limit: [429, 'Too many requests, please wait before trying again.', 'ThrottlingException'],
  server: [500, 'The system encountered an unexpected error during processing.', 'InternalServerException'],
  overloaded: [503, 'The service is unable to process your request.', 'ServiceUnavailableException'],
};

export const amazon: Voice = {
  failures,
  amid: 'server',
  idHeader: 'x-amzn-requestid',
  body: ({ message }) => ({ message }),
  headers: (refusal) => ({
    'x-amzn-errortype': `${failures[refusal.kind][2]}:http://internal.amazon.com/coral/com.amazon.bedrock/`,
    ...retryAfter(refusal),
  }),
  events: ({ kind, message }) => {
    const [, , type = ''] = failures[kind];
    const name = `exception:${type.slice(0, 1).toLowerCase()}${type.slice(1)}`;
    return [{ name, data: JSON.stringify({ message }) }];
  },
  unknownModel: () => 'The provided model identifier is invalid.',
  notJson: 'Could not parse the request body as JSON.',
  notThere: () => 'Unknown operation.',
};
