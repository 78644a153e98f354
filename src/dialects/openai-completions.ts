/** OpenAI's completions before chat, which many hosts still serve: https://platform.openai.com/docs/api-reference/completions */
import { withTier } from '../core/usage.ts';
import type { Asked, ClientDialect } from './dialect.ts';
import { writeError, writeStreamError } from './openai-chat/error.ts';
import { writeModel, writeModels } from './openai-chat/models.ts';
import { ChatTap } from './openai-chat/tap.ts';
import { readUsage } from './openai-chat/usage.ts';
import { terminator } from './openai-chat/write-stream.ts';
import { readResponse, writeResponse } from './openai-completions/answer.ts';
import { readRequest } from './openai-completions/read-request.ts';
import { CompletionStreamReader, CompletionStreamWriter, tapMarkers } from './openai-completions/stream.ts';
import { dialectName, planRelay, writeRequest } from './openai-completions/write-request.ts';
import { classifyUpstreamError } from './upstream-error.ts';

const noMedia: ReadonlySet<string> = new Set();

const chat: Asked = { operation: 'chat' };

export const openaiCompletions: ClientDialect = {
  name: dialectName,
  can: {
    params: new Set([
      'maxTokens', 'temperature', 'topP', 'stop', 'seed', 'presencePenalty', 'frequencyPenalty', 'logitBias', 'n',
      'logprobs', 'user',
    ]), // biome-ignore format: one list
    media: noMedia,
    toolResultMedia: noMedia,
    // `prompt` stands among them only where it is more than one text.
    meaning: new Set(['prompt', 'suffix', 'echo', 'best_of']),
    instead: {
      prompt:
        'Send the prompt as one text: a call for each of several prompts, and words in place of token numbers.',
      best_of: 'Ask for n answers, and choose among them.',
    },
  },
  framing: 'sse',
  clientPath: '/v1/completions',
  match: (path) => (path === '/v1/completions' ? chat : undefined),
  path: () => '/completions',
  headers: {},
  turns: { name: 'prompt', orText: true, optional: true, several: true },
  limitMembers: ['max_tokens'],
  countMember: ['n', 'best_of'],

  readRequest,
  writeRequest,
  planRelay,

  readResponse,
  writeResponse,
  contentMembers: ['choices'],
  readUsage: (body, quirks) => withTier(readUsage(body.usage, quirks), body.service_tier),

  readStream: (emit, quirks) => new CompletionStreamReader(emit, quirks),
  writeStream: (emit, wish) => new CompletionStreamWriter(emit, wish),
  tap: (quirks, hideUsage) => new ChatTap(quirks, hideUsage),
  tapMarkers,
  terminator,

  readError: classifyUpstreamError,
  writeError,
  writeStreamError,

  writeModels,
  writeModel,
};
