/** OpenAI Chat Completions, the dialect most hosts speak: https://platform.openai.com/docs/api-reference/chat */
import { withTier } from '../core/usage.ts';
import type { Asked, ClientDialect } from './dialect.ts';
import { readResponse, writeResponse } from './openai-chat/answer.ts';
import { writeError, writeStreamError } from './openai-chat/error.ts';
import { writeModel, writeModels } from './openai-chat/models.ts';
import { planRelay } from './openai-chat/plan-relay.ts';
import { readRequest } from './openai-chat/read-request.ts';
import { ChatStreamReader } from './openai-chat/read-stream.ts';
import { ChatTap, tapMarkers } from './openai-chat/tap.ts';
import { readUsage } from './openai-chat/usage.ts';
import { writeRequest } from './openai-chat/write-request.ts';
import { ChatStreamWriter, terminator } from './openai-chat/write-stream.ts';
import { realtimeAt } from './realtime.ts';
import { classifyUpstreamError } from './upstream-error.ts';

const media = new Set(['image:url', 'image:base64', 'document:base64', 'document:text', 'audio:base64']);

const chat: Asked = { operation: 'chat' };

export const openaiChat: ClientDialect = {
  name: 'openai-chat',
  can: {
    // Service tiers and metadata mean something else in every dialect; `top_k` is a word of some hosts only.
    params: new Set([
      'tools', 'toolChoice', 'parallelTools', 'maxTokens', 'temperature', 'topP', 'stop', 'seed', 'presencePenalty',
      'frequencyPenalty', 'logitBias', 'n', 'logprobs', 'reasoning', 'format', 'user',
    ]), // biome-ignore format: one list
    media,
    // Tool messages are text only; the writer shows media in a user message after them.
    toolResultMedia: media,
    meaning: new Set([
      'functions',
      'function_call',
      'modalities',
      'audio',
      'web_search_options',
      'response_format',
    ]),
    // https://platform.openai.com/docs/api-reference/chat/create refuses others, and longer ids of tool calls.
    toolNames: /^[a-zA-Z0-9_-]{1,64}$/,
    toolIds: /^[\s\S]{1,40}$/,
  },
  framing: 'sse',
  clientPath: '/v1/chat/completions',
  match: (path) => (path === '/v1/chat/completions' ? chat : undefined),
  path: () => '/chat/completions',
  headers: {},
  realtime: realtimeAt,
  turns: { name: 'messages' },
  limitMembers: ['max_completion_tokens', 'max_tokens'],
  countMember: 'n',

  readRequest,
  writeRequest,
  planRelay,

  readResponse,
  writeResponse,
  contentMembers: ['choices'],
  readUsage: (body, quirks) => withTier(readUsage(body.usage, quirks), body.service_tier),

  readStream: (emit, quirks) => new ChatStreamReader(emit, quirks),
  writeStream: (emit, wish) => new ChatStreamWriter(emit, wish),
  tap: (quirks, hideUsage) => new ChatTap(quirks, hideUsage),
  tapMarkers,
  terminator,

  readError: classifyUpstreamError,
  writeError,
  writeStreamError,

  writeModels,
  writeModel,
};
