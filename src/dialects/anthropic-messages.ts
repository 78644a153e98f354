/** Anthropic Messages. https://platform.claude.com/docs/en/api/messages */
import type { JsonObject } from '../core/json.ts';
import { dialectName, toolIds, toolNames } from './anthropic-messages/block.ts';
import { writeError, writeStreamError } from './anthropic-messages/error.ts';
import { writeModel, writeModels } from './anthropic-messages/models.ts';
import { readRequest } from './anthropic-messages/read-request.ts';
import { MessagesReader } from './anthropic-messages/read-stream.ts';
import { planRelay } from './anthropic-messages/relay.ts';
import { readResponse, writeResponse } from './anthropic-messages/response.ts';
import { MessagesTap } from './anthropic-messages/tap.ts';
import { addPasses, readUsage } from './anthropic-messages/usage.ts';
import { writeRequest } from './anthropic-messages/write-request.ts';
import { MessagesWriter } from './anthropic-messages/write-stream.ts';
import type { Asked, ClientDialect } from './dialect.ts';
import { classifyUpstreamError } from './upstream-error.ts';

/** Files by id are known to the provider that stored them only. */
const media = new Set(['image:base64', 'image:url', 'document:base64', 'document:url', 'document:text']);

const chat: Asked = { operation: 'chat' };
const countTokens: Asked = { operation: 'count_tokens' };
const countPath = '/v1/messages/count_tokens';

export const anthropicMessages: ClientDialect = {
  name: dialectName,
  can: {
    params: new Set([
      'tools', 'toolChoice', 'parallelTools', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'reasoning',
      'format', 'user',
    ]), // biome-ignore format: one list
    media,
    toolResultMedia: media,
    meaning: new Set(['mcp_servers', 'container']),
    // JSON without a schema is nothing a model can be held to.
    formats: new Set(['schema']),
    systemApart: true,
    toolNames,
    toolIds,
  },
  framing: 'sse',
  clientPath: '/v1/messages',
  match: (path) => (path === '/v1/messages' ? chat : path === countPath ? countTokens : undefined),
  clientHeader: 'anthropic-version',
  idHeader: 'request-id',
  path: () => '/messages',
  headers: { 'anthropic-version': '2023-06-01' },
  forwardHeaders: ['anthropic-beta'],
  turns: { name: 'messages' },
  limitMembers: ['max_tokens'],

  readRequest,
  writeRequest,
  planRelay: (body, members, _stream, quirks) => planRelay(body, members, quirks),

  readResponse,
  writeResponse,
  contentMembers: ['content'],
  readUsage: (body: JsonObject) => addPasses(readUsage(body.usage), body.usage),

  readStream: (emit, quirks) => new MessagesReader(emit, quirks),
  writeStream: (emit) => new MessagesWriter(emit),
  tap: () => new MessagesTap(),
  tapMarkers: ['message_delta', 'message_stop', '"error"'],
  terminator: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',

  readError: classifyUpstreamError,
  writeError,
  writeStreamError,

  // https://platform.claude.com/docs/en/api/messages/count_tokens
  counting: {
    path: () => '/messages/count_tokens',
    requestOf: (body) => ({ ...body, max_tokens: 1 }),
    write: (tokens) => ({ input_tokens: tokens }),
  },

  carriesState: true,

  writeModels,
  writeModel,
};
