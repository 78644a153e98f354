/** Cohere Chat, version 2: https://docs.cohere.com/reference/chat */
import { dialectName } from './cohere-v2/content.ts';
import { readRequest } from './cohere-v2/read-request.ts';
import { CohereStreamReader } from './cohere-v2/read-stream.ts';
import { readResponse } from './cohere-v2/response.ts';
import { writeRequest } from './cohere-v2/write-request.ts';
import type { Dialect } from './dialect.ts';
import { classifyUpstreamError } from './upstream-error.ts';

/** Tool results are text and documents only; the writer shows images in a user message after them. */
const media = new Set(['image:url', 'image:base64', 'document:text']);

/** Statuses that mean something else here than elsewhere: a token that is not valid, a call that was given up. */
const meant: Readonly<Record<number, number>> = { 498: 401, 499: 500 };

export const cohereV2: Dialect = {
  name: dialectName,
  can: {
    params: new Set([
      'tools', 'toolChoice', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'seed', 'presencePenalty',
      'frequencyPenalty', 'logprobs', 'reasoning', 'format',
    ]), // biome-ignore format: one list
    media,
    toolResultMedia: media,
    meaning: new Set(['documents', 'citation_options']),
    // https://docs.cohere.com/reference/errors
    toolNames: /^[A-Za-z_][A-Za-z0-9_]*$/,
  },
  framing: 'sse',
  path: () => '/chat',
  headers: {},

  readRequest,
  writeRequest,
  readResponse,
  readStream: (emit) => new CohereStreamReader(emit),
  readError: (status, headers, body) => classifyUpstreamError(meant[status] ?? status, headers, body),
};
