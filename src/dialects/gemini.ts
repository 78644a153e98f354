/** Gemini's generateContent, at the Gemini API and at Vertex AI: https://ai.google.dev/api/generate-content */
import type { ClientDialect } from './dialect.ts';
import { counting } from './gemini/counting.ts';
import { writeError, writeStreamError } from './gemini/error.ts';
import { meaning } from './gemini/extras.ts';
import { writeModel, writeModels } from './gemini/models.ts';
import { matchCall, modelsPaths, pathOf } from './gemini/path.ts';
import { dialectName } from './gemini/read-part.ts';
import { readRequest } from './gemini/read-request.ts';
import { GeminiReader } from './gemini/read-stream.ts';
import { planRelay } from './gemini/relay.ts';
import { readResponse, writeResponse } from './gemini/response.ts';
import { GeminiTap, tapMarkers } from './gemini/tap.ts';
import { readAnswerUsage } from './gemini/usage.ts';
import { writeRequest } from './gemini/write-request.ts';
import { GeminiWriter } from './gemini/write-stream.ts';
import { classifyUpstreamError } from './upstream-error.ts';

/** Files by id are known to the provider that stored them only. */
const media = new Set([
  'image:base64', 'image:url', 'document:base64', 'document:url', 'document:text', 'audio:base64', 'audio:url',
  'video:base64', 'video:url',
]); // biome-ignore format: one list

export const gemini: ClientDialect = {
  name: dialectName,
  can: {
    params: new Set([
      'tools', 'toolChoice', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'seed', 'presencePenalty',
      'frequencyPenalty', 'n', 'logprobs', 'reasoning', 'format',
    ]), // biome-ignore format: one list
    media,
    // Models before Gemini 3 read no media in results; the writer shows them in a content after those.
    toolResultMedia: media,
    meaning,
    systemApart: true,
    // https://ai.google.dev/api/caching#FunctionDeclaration
    toolNames: /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/,
  },
  framing: 'sse',
  clientPath: '/v1beta/models/{model}:generateContent',
  modelsPaths,
  match: matchCall,
  clientHeader: 'x-goog-api-key',
  path: (model, stream) => pathOf(model, stream ? 'streamGenerateContent?alt=sse' : 'generateContent'),
  headers: {},
  turns: { name: 'contents' },
  limitMembers: [
    'generationConfig.maxOutputTokens',
    'generationConfig.max_output_tokens',
    'generation_config.maxOutputTokens',
    'generation_config.max_output_tokens',
  ],
  countMember: [
    'generationConfig.candidateCount',
    'generationConfig.candidate_count',
    'generation_config.candidateCount',
    'generation_config.candidate_count',
  ],

  readRequest,
  writeRequest,
  planRelay: (body, members, _stream, quirks) => planRelay(body, members, quirks),

  readResponse,
  writeResponse,
  contentMembers: ['candidates', 'promptFeedback'],
  countedContent: '"webSearchQueries"',
  readUsage: readAnswerUsage,

  readStream: (emit) => new GeminiReader(emit),
  writeStream: (emit, wish) => new GeminiWriter(emit, wish),
  tap: () => new GeminiTap(),
  tapMarkers,
  wholeCalls: true,
  terminator: '',

  readError: classifyUpstreamError,
  writeError,
  writeStreamError,

  counting,

  carriesState: true,

  writeModels,
  writeModel,
};
