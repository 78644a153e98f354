/** Ollama's own chat API: https://docs.ollama.com/api/chat */
import type { Dialect } from './dialect.ts';
import { dialectName } from './ollama/message.ts';
import { readRequest } from './ollama/read-request.ts';
import { OllamaStreamReader } from './ollama/read-stream.ts';
import { readResponse } from './ollama/response.ts';
import { writeRequest } from './ollama/write-request.ts';
import { classifyUpstreamError } from './upstream-error.ts';

/** Files are base64 in any message; nothing is fetched. */
const media = new Set(['image:base64', 'audio:base64', 'document:text']);

export const ollama: Dialect = {
  name: dialectName,
  can: {
    params: new Set([
      'tools', 'toolChoice', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'seed', 'presencePenalty',
      'frequencyPenalty', 'logprobs', 'reasoning', 'format',
    ]), // biome-ignore format: one list
    media,
    toolResultMedia: media,
    meaning: new Set(),
  },
  framing: 'ndjson',
  path: () => '/api/chat',
  headers: {},

  readRequest,
  writeRequest,
  readResponse,
  readStream: (emit) => new OllamaStreamReader(emit),
  readError: classifyUpstreamError,
};
