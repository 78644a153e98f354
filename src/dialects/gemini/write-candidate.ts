/** What stands around the parts of an answer: how it ended, its sources, its cost. */
import type { Choice } from '../../core/chat.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import { writeSources } from './grounding.ts';
import { writeLogprobs } from './logprobs.ts';
import { writeStop } from './stop.ts';
import { writeUsage } from './usage.ts';

/**
 * A candidate with these parts and the end of `choice`; undefined for a prompt that was refused, which has none.
 * Clients take a content without parts for a broken one: then the text is empty.
 */
export function writeCandidate(choice: Choice, parts: JsonObject[]): JsonObject | undefined {
  const { index, blocks, stop, extra = {} } = choice;
  if (
    blocks.length === 0 &&
    isObject(extra.promptFeedback) &&
    extra.finishReason === undefined &&
    stop === 'content_filter'
  ) {
    return undefined;
  }
  const refused = blocks.some(({ type }) => type === 'refusal');
  const candidate: JsonObject = {
    content: { parts: parts.length > 0 ? parts : [{ text: '' }], role: 'model' },
    finishReason: typeof extra.finishReason === 'string' ? extra.finishReason : writeStop(stop, refused),
    index,
  };
  const logprobs = writeLogprobs(choice.logprobs);
  if (logprobs !== undefined) candidate.logprobsResult = logprobs;
  const sources = writeSources(blocks);
  if (sources !== undefined) candidate.groundingMetadata = sources;
  return isObject(extra.candidate) ? { ...candidate, ...extra.candidate } : candidate;
}

/** Id, model and time of an answer, as every piece of it has them. */
export function writeNames(answer: { id: string; model: string; created?: number }): JsonObject {
  const names: JsonObject = { modelVersion: answer.model, responseId: answer.id };
  // Far beyond what a date can be, a time says nothing.
  if (answer.created !== undefined && Math.abs(answer.created) < 1e11) {
    names.createTime = new Date(answer.created * 1000).toISOString();
  }
  return names;
}

/** Those and what an answer cost; `extra` is that of its first choice. */
export function writeEnvelope(
  answer: { id: string; model: string; created?: number },
  usage: Usage | undefined,
  extra: JsonObject | undefined,
): JsonObject {
  return {
    ...(isObject(extra?.promptFeedback) && { promptFeedback: extra.promptFeedback }),
    usageMetadata: writeUsage(usage, extra?.usageMetadata),
    ...writeNames(answer),
  };
}
