/** What the chunks of a stream and whole answers have in common: they have one form. */
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';

/** https://ai.google.dev/api/generate-content#generatecontentresponse */
const answerMembers = new Set([
  'candidates', 'promptFeedback', 'usageMetadata', 'modelVersion', 'responseId', 'error',
]); // biome-ignore format: one list

const candidateMembers = new Set(['content', 'finishReason', 'index', 'logprobsResult']);

/** Members only this dialect has words for; undefined when there are none. */
export function readAnswerExtra(chunk: JsonObject): JsonObject | undefined {
  return rest(chunk, answerMembers);
}

export function readCandidateExtra(candidate: JsonObject): JsonObject | undefined {
  return rest(candidate, candidateMembers);
}

/** Whether a value is (a piece of) an answer at all. */
export function isAnswer(chunk: JsonObject): boolean {
  return Array.isArray(chunk.candidates) || isObject(chunk.promptFeedback) || isObject(chunk.usageMetadata);
}

/** Why the prompt was refused, '' when it was not. There are no candidates then. */
export function readBlock({ promptFeedback }: JsonObject): string {
  return isObject(promptFeedback) && typeof promptFeedback.blockReason === 'string'
    ? promptFeedback.blockReason
    : '';
}

/** The parts of a candidate; it may have no content, and content no parts. */
export function partsOf({ content }: JsonObject): JsonObject[] {
  const parts = isObject(content) ? content.parts : undefined;
  return Array.isArray(parts) ? parts.filter(isObject) : [];
}

/** Seconds since 1970; undefined where it is not told. */
export function readCreated({ createTime }: JsonObject): number | undefined {
  const time = typeof createTime === 'string' ? Date.parse(createTime) : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.floor(time / 1000);
}

/** @returns the objects in an event, mostly one: some hosts wrap them in a list. */
export function parseChunks(data: string): JsonObject[] | GatewayError {
  try {
    const value: Json = JSON.parse(data);
    const chunks = Array.isArray(value) ? value : [value];
    if (chunks.every(isObject)) return chunks;
  } catch {
    // Said below.
  }
  return new GatewayError(
    'upstream_invalid',
    'The provider sent a piece of its stream that is no JSON object.',
  );
}
