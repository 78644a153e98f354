/** Token counts: on this wire thoughts stand beside the candidates' tokens, in the hub `output` includes them. */
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import { count, emptyUsage, normaliseUsage, type Usage, withSearches, withTier } from '../../core/usage.ts';

const known = new Set([
  'promptTokenCount',
  'candidatesTokenCount',
  'thoughtsTokenCount',
  'cachedContentTokenCount',
  'totalTokenCount',
]);

/** Whether anything is counted: the first chunks of Vertex AI tell the kind of traffic only. */
export function countsTokens(value: Json | undefined): value is JsonObject {
  if (!isObject(value)) return false;
  return typeof value.promptTokenCount === 'number' || typeof value.candidatesTokenCount === 'number';
}

/**
 * Counts of an answer or of one chunk, where they are cumulative. Undefined where nothing is counted. What tools have
 * put into the prompt is input too.
 * https://ai.google.dev/api/generate-content#UsageMetadata
 */
export function readUsage(value: Json | undefined): Usage | undefined {
  if (!countsTokens(value)) return undefined;
  const { promptTokenCount: prompt, candidatesTokenCount: candidates } = value;
  const usage = emptyUsage();
  usage.input = count(prompt) + count(value.toolUsePromptTokenCount);
  usage.cacheRead = count(value.cachedContentTokenCount);
  usage.reasoning = count(value.thoughtsTokenCount);
  usage.output = count(candidates) + usage.reasoning;
  const { promptTokensDetails, toolUsePromptTokensDetails, candidatesTokensDetails } = value;
  usage.audioInput = tokensOf('AUDIO', promptTokensDetails) + tokensOf('AUDIO', toolUsePromptTokensDetails);
  usage.audioOutput = tokensOf('AUDIO', candidatesTokensDetails);
  const imageInput = tokensOf('IMAGE', promptTokensDetails);
  const imageOutput = tokensOf('IMAGE', candidatesTokensDetails);
  if (imageInput > 0) usage.imageInput = imageInput;
  if (imageOutput > 0) usage.imageOutput = imageOutput;
  return withTier(normaliseUsage(usage), tierOf(value));
}

/** Vertex AI names the kind of traffic: `ON_DEMAND_FLEX`. */
function tierOf({ serviceTier, trafficType }: JsonObject): Json | undefined {
  return typeof trafficType === 'string' ? trafficType.replace(/^ON_DEMAND_/i, '') : serviceTier;
}

/**
 * The distinct searches of the web that an answer or a chunk of it was grounded in, added to `queries`.
 * https://ai.google.dev/gemini-api/docs/google-search#pricing
 */
export function addQueries(queries: Set<string>, candidates: Json | undefined): void {
  for (const candidate of Array.isArray(candidates) ? candidates : []) {
    const grounding = isObject(candidate) ? candidate.groundingMetadata : undefined;
    const searched = isObject(grounding) ? grounding.webSearchQueries : undefined;
    for (const query of Array.isArray(searched) ? searched : []) {
      if (typeof query === 'string' && query !== '' && queries.size < maxQueries) queries.add(query);
    }
  }
}

/** No answer asks more. */
const maxQueries = 1000;

/** Usage of a whole answer. */
export function readAnswerUsage(answer: JsonObject): Usage | undefined {
  const queries = new Set<string>();
  addQueries(queries, answer.candidates);
  return withSearches(readUsage(answer.usageMetadata), queries.size);
}

function tokensOf(modality: string, details: Json | undefined): number {
  let tokens = 0;
  for (const each of Array.isArray(details) ? details : []) {
    if (isObject(each) && each.modality === modality) tokens += count(each.tokenCount);
  }
  return tokens;
}

/** What the wire says beside those counts: the same by modality, the kind of traffic. */
export function readUsageExtra(value: Json | undefined): JsonObject | undefined {
  return isObject(value) ? rest(value, known) : undefined;
}

/** `extra` is what readUsageExtra has read; without it modalities are told as far as they are known. */
export function writeUsage(usage: Usage | undefined, extra: Json | undefined): JsonObject {
  const { input, cacheRead, output, reasoning, audioInput, audioOutput } = usage ?? emptyUsage();
  const more: JsonObject = isObject(extra)
    ? extra
    : {
        ...(audioInput > 0 && { promptTokensDetails: byModality(input, audioInput) }),
        ...(audioOutput > 0 && { candidatesTokensDetails: byModality(output - reasoning, audioOutput) }),
      };
  const written: JsonObject = {
    promptTokenCount: Math.max(0, input - count(more.toolUsePromptTokenCount)),
    candidatesTokenCount: output - reasoning,
    totalTokenCount: input + output,
  };
  if (cacheRead > 0) written.cachedContentTokenCount = cacheRead;
  if (reasoning > 0) written.thoughtsTokenCount = reasoning;
  return { ...written, ...more };
}

function byModality(tokens: number, audio: number): Json {
  return [
    { modality: 'TEXT', tokenCount: Math.max(0, tokens - audio) },
    { modality: 'AUDIO', tokenCount: audio },
  ];
}
