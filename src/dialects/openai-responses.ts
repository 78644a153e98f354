/** OpenAI Responses, in which answers are lists of items: https://platform.openai.com/docs/api-reference/responses */
import { isObject } from '../core/json.ts';
import type { Asked, ClientDialect } from './dialect.ts';
import { writeError } from './openai-chat/error.ts';
import { writeModel, writeModels } from './openai-chat/models.ts';
import { dialectName } from './openai-responses/content.ts';
import { writeStreamError } from './openai-responses/error.ts';
import { keeping } from './openai-responses/keeping.ts';
import { readRequest } from './openai-responses/read-request.ts';
import { ResponsesReader } from './openai-responses/read-stream.ts';
import { planRelay } from './openai-responses/relay.ts';
import { readFailure, readResponse, writeResponse } from './openai-responses/response.ts';
import { ResponsesTap, tapMarkers } from './openai-responses/tap.ts';
import { readAnswerUsage } from './openai-responses/usage.ts';
import { sharedMembers, writeRequest } from './openai-responses/write-request.ts';
import { ResponsesWriter } from './openai-responses/write-stream.ts';
import { realtimeAt } from './realtime.ts';
import { classifyUpstreamError } from './upstream-error.ts';

/** Files by id are known to the provider that stored them only. */
const media = new Set(['image:base64', 'image:url', 'document:base64', 'document:url', 'document:text']);

/** Work that goes on without the client, and what the provider keeps of it. Forms of text nobody else knows are meaning, too. */
const meaning = new Set(['background', 'conversation', 'prompt']);

const chat: Asked = { operation: 'chat' };
const countTokens: Asked = { operation: 'count_tokens' };
const countPath = '/v1/responses/input_tokens';

export const openaiResponses: ClientDialect = {
  name: dialectName,
  can: {
    // There is no word for stop sequences, seeds, penalties, or more than one answer.
    params: new Set([
      'tools', 'toolChoice', 'parallelTools', 'maxTokens', 'temperature', 'topP', 'logprobs', 'reasoning', 'format',
      'user', 'store', 'previousResponseId',
    ]), // biome-ignore format: one list
    media,
    toolResultMedia: media,
    meaning: {
      has: (name, value) =>
        meaning.has(name) || (name === 'text' && isObject(value) && value.format !== undefined),
    },
    extras: new Set([...sharedMembers, 'verbosity', 'detail', 'role']),
    systemApart: true,
    toolNames: /^[a-zA-Z0-9_-]{1,64}$/,
    toolIds: /^[\s\S]{1,64}$/,
  },
  framing: 'sse',
  clientPath: '/v1/responses',
  match: (path) => (path === '/v1/responses' ? chat : path === countPath ? countTokens : undefined),
  path: () => '/responses',
  headers: {},
  realtime: realtimeAt,
  forwardHeaders: ['openai-beta'],
  turns: { name: 'input', orText: true, optional: true },
  limitMembers: ['max_output_tokens'],

  readRequest,
  writeRequest,
  planRelay: (body, members, _stream, quirks) => planRelay(body, members, quirks),

  readResponse,
  writeResponse,
  contentMembers: ['output'],
  countedContent: '"web_search_call"',
  readUsage: (body) => {
    // An answer that failed has content, too: none.
    const failure = readFailure(body);
    if (failure !== undefined) throw failure;
    return readAnswerUsage(body);
  },

  readStream: (emit) => new ResponsesReader(emit),
  writeStream: (emit, wish) => new ResponsesWriter(emit, wish),
  tap: () => new ResponsesTap(),
  tapMarkers,
  terminator: '',

  readError: classifyUpstreamError,
  writeError,
  writeStreamError,

  // https://platform.openai.com/docs/api-reference/responses/input-tokens
  counting: {
    path: () => '/responses/input_tokens',
    requestOf: (body) => body,
    write: (tokens) => ({ object: 'response.input_tokens', input_tokens: tokens }),
  },

  // https://platform.openai.com/docs/guides/conversation-state
  keeping,
  carriesState: true,

  writeModels,
  writeModel,
};
