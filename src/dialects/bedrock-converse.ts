/** AWS Bedrock Converse, spoken to providers only. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
import { dialectName } from './bedrock-converse/block.ts';
import { markName } from './bedrock-converse/cache-points.ts';
import { readRequest } from './bedrock-converse/read-request.ts';
import { ConverseReader } from './bedrock-converse/read-stream.ts';
import { readResponse } from './bedrock-converse/response.ts';
import { writeRequest } from './bedrock-converse/write-request.ts';
import type { Dialect } from './dialect.ts';
import { classifyUpstreamError } from './upstream-error.ts';

/** Files by address must be fetched beforehand. */
const toolResultMedia = ['image:base64', 'document:base64', 'document:text', 'video:base64'];

export const bedrockConverse: Dialect = {
  name: dialectName,
  can: {
    params: new Set([
      'tools', 'toolChoice', 'parallelTools', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'reasoning',
      'format', 'metadata',
    ]), // biome-ignore format: one list
    media: new Set([...toolResultMedia, 'audio:base64']),
    toolResultMedia: new Set(toolResultMedia),
    meaning: new Set(['guardrailConfig', 'promptVariables']),
    extras: new Set([markName]),
    // JSON without a schema is nothing a model can be held to.
    formats: new Set(['schema']),
    systemApart: true,
    // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html
    toolNames: /^[a-zA-Z0-9_-]{1,64}$/,
    toolIds: /^[a-zA-Z0-9_.:-]{1,64}$/,
  },
  framing: 'aws-events',
  path: (model, stream) => `/model/${encodeURIComponent(model)}/${stream ? 'converse-stream' : 'converse'}`,
  headers: {},

  readRequest,
  writeRequest,
  readResponse,
  readStream: (emit, quirks) => new ConverseReader(emit, quirks),
  readError: classifyUpstreamError,
};
