/** Failures inside a binary event stream, which has begun with a status of 200: frames named by an exception's type. */
import type { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { classifyErrorPayload } from './upstream-error.ts';

/** The statuses they would have had before the first byte. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html#API_runtime_ConverseStream_Errors */
const statuses: Readonly<Record<string, number>> = {
  accessDeniedException: 403,
  internalServerException: 500,
  modelErrorException: 424,
  modelNotReadyException: 429,
  modelStreamErrorException: 424,
  modelTimeoutException: 408,
  resourceNotFoundException: 404,
  serviceQuotaExceededException: 400,
  serviceUnavailableException: 503,
  throttlingException: 429,
  validationException: 400,
};

/** @param name `exception:throttlingException`, `error:` and a code. @returns undefined for frames that are no failure. */
export function readException(name: string, data: string): GatewayError | undefined {
  if (!name.startsWith('exception:') && !name.startsWith('error:')) return undefined;
  const type = name.slice(name.indexOf(':') + 1);
  const { message, originalMessage } = payloadOf(data);
  const status = statuses[type.charAt(0).toLowerCase() + type.slice(1)] ?? 500;
  const said = typeof message === 'string' && message !== '' ? message : originalMessage;
  return classifyErrorPayload({ message: said ?? null, code: type, status_code: status });
}

/** Empty where there is none. */
function payloadOf(data: string): JsonObject {
  try {
    const payload: Json = JSON.parse(data);
    return isObject(payload) ? payload : {};
  } catch {
    return {};
  }
}
