/** Failures as Google words them: https://cloud.google.com/apis/design/errors */
import type { Refusal } from '../ask.ts';
import type { ErrorKind, Failing } from '../errors.ts';
import { unnamed, type Voice } from '../wire.ts';

/** The reason of a failure stands in its details, where there is one. */
const failures: Record<ErrorKind, Failing> = {
  bad_request: [400, 'Request contains an invalid argument.', 'INVALID_ARGUMENT'],
  context_length: [
    400,
    'The input token count (9000) exceeds the maximum number of tokens allowed (8192).',
    'INVALID_ARGUMENT',
  ],
  content_filter: [400, 'The request was blocked by the safety system.', 'INVALID_ARGUMENT'],
  auth: [400, 'API key not valid. Please pass a valid API key.', 'INVALID_ARGUMENT', 'API_KEY_INVALID'],
  billing: [
    429,
    'You exceeded your current quota, please check your plan and billing details.',
    'RESOURCE_EXHAUSTED',
  ],
  permission: [403, 'The caller does not have permission', 'PERMISSION_DENIED'],
  not_found: [404, 'The model is not found.', 'NOT_FOUND'],
  method: [404, 'Method not found.', 'NOT_FOUND'],
  timeout: [504, 'Deadline expired before operation could complete.', 'DEADLINE_EXCEEDED'],
  too_large: [413, 'Request payload size exceeds the limit.', 'INVALID_ARGUMENT'],
  rate_limit: [429, 'Resource has been exhausted (e.g. check quota).', 'RESOURCE_EXHAUSTED'],
  server: [500, 'An internal error has occurred. Please retry.', 'INTERNAL'],
  overloaded: [503, 'The model is overloaded. Please try again later.', 'UNAVAILABLE'],
};

const statusWords: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

function bodyOf(refusal: Refusal): object {
  const { status: code, kind, message } = refusal;
  const details = detailsOf(refusal);
  const status = statusWords[code] ?? failures[kind][2];
  return { error: { code, message, status, ...(details.length > 0 && { details }) } };
}

/** Nothing of this comes in headers: when to try again is a detail too. */
function detailsOf({ kind, code, retryAfterS }: Refusal): object[] {
  const details: object[] = [];
  const detail = (name: string, members: object): void => {
    details.push({ '@type': `type.googleapis.com/google.rpc.${name}`, ...members });
  };
  if (code !== undefined) detail('ErrorInfo', { reason: code, domain: 'googleapis.com' });
  if (kind === 'billing') {
    detail('QuotaFailure', {
      violations: [{ quotaId: 'GenerateRequestsPerDayPerProjectPerModel-FreeTier' }],
    });
  }
  if (retryAfterS !== undefined) detail('RetryInfo', { retryDelay: `${retryAfterS}s` });
  return details;
}

export const google: Voice = {
  failures,
  amid: 'server',
  body: bodyOf,
  events: (refusal) => [unnamed(bodyOf(refusal))],
  unknownModel: (model) =>
    `models/${model} is not found for API version v1beta, or is not supported for generateContent.`,
  notJson: 'Invalid JSON payload received.',
  notThere: (_method, path) => `The requested URL ${path} was not found on this server.`,
};
