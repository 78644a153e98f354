/** What was read from a request of this dialect, written in the places where it stood. */
import type { ChatRequest } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Quirks } from '../quirks.ts';
import { writeTextFormat } from './output.ts';

const sampling = ['temperature', 'topP'] as const;

/** @param lost gets the names of what the model refuses. */
export function writeOwn(request: ChatRequest, body: JsonObject, quirks: Quirks, lost: string[]): void {
  const {
    inferenceConfig,
    outputConfig,
    additionalModelRequestFields: fields,
    ...extra
  } = request.extra ?? {};
  const inference: JsonObject = isObject(inferenceConfig) ? { ...inferenceConfig } : {};
  if (request.maxTokens !== undefined) inference.maxTokens = request.maxTokens;
  for (const name of sampling) {
    if (request[name] === undefined) continue;
    if (quirks.noSampling) lost.push(name);
    else inference[name] = request[name];
  }
  if (request.stop !== undefined) inference.stopSequences = request.stop;
  if (inferenceConfig !== undefined || Object.keys(inference).length > 0) body.inferenceConfig = inference;
  if (fields !== undefined) body.additionalModelRequestFields = fields;
  if (request.topK !== undefined) {
    if (quirks.noSampling) lost.push('topK');
    else body.additionalModelRequestFields = { ...(isObject(fields) && fields), top_k: request.topK };
  }
  if (outputConfig !== undefined) body.outputConfig = outputConfig;
  if (request.format?.type === 'schema' && !quirks.schemaByTool) {
    const { schema, name, description } = request.format;
    const textFormat = writeTextFormat(JSON.stringify(schema), name, description);
    body.outputConfig = isObject(outputConfig) ? { ...outputConfig, textFormat } : { textFormat };
  }
  if (request.metadata !== undefined) body.requestMetadata = request.metadata;
  if (request.serviceTier !== undefined) body.serviceTier = { type: request.serviceTier };
  Object.assign(body, extra);
}
