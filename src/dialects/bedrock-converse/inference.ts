/** How a model is to think and to choose its words, in Bedrock's words and in those of the model's family. */
import type { ChatRequest } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { fitSampling, writeThinking } from '../claude.ts';
import type { Quirks } from '../quirks.ts';
import type { Manner } from './content.ts';
import { stopSequencePath } from './stop.ts';

export type Thought = Partial<ReturnType<typeof writeThinking>>;

/** Clients that speak Claude's own language know what to ask it for. */
function speaksClaude({ dialect }: ChatRequest): boolean {
  return dialect === 'anthropic-messages';
}

/** Claude only: how other models are asked to reason differs from one to the next. */
export function think(
  request: ChatRequest,
  quirks: Quirks,
  { family, lost }: Manner,
  circumstances: { forcedTool: boolean; lostThinking: boolean },
): Thought {
  const wish = request.reasoning;
  if (wish === undefined) return {};
  if (family === 'claude') {
    const own = speaksClaude(request) && !circumstances.lostThinking;
    return writeThinking(request, quirks, { own, ...circumstances }, lost);
  }
  if (wish.enabled !== false && wish.effort !== 'none') lost.push('reasoning');
  return {};
}

/** @param fields gets what only the model itself has words for. */
export function writeInference(
  request: ChatRequest,
  body: JsonObject,
  fields: JsonObject,
  { thinking, maxTokens }: Thought,
  quirks: Quirks,
  manner: Manner,
): void {
  const { lost, family } = manner;
  const config: JsonObject = {};
  // A thinking budget has to be smaller than the limit; without one the limit is the model's own.
  const limit = thinking?.type === 'enabled' ? maxTokens : request.maxTokens;
  if (limit !== undefined) config.maxTokens = limit;
  for (const name of ['temperature', 'topP', 'topK'] as const) {
    const value = request[name];
    if (value === undefined) continue;
    const fitting = quirks.noSampling ? undefined : fit(request, thinking, name, value, manner);
    // 1 is what temperature and top_p are without being said.
    if (fitting !== value && !(value === 1 && name !== 'topK')) lost.push(name);
    if (fitting === undefined) continue;
    if (name !== 'topK') config[name] = fitting;
    else if (family === 'claude') fields.top_k = fitting;
    else fields.inferenceConfig = { topK: fitting };
  }
  if (request.stop !== undefined) {
    const stop = request.stop.filter((word) => word.trim() !== '');
    if (stop.length < request.stop.length) lost.push('stop');
    if (stop.length > 0) config.stopSequences = stop;
    if (stop.length > 0 && family === 'claude') {
      body.additionalModelResponseFieldPaths = [stopSequencePath(request.stream)];
    }
  }
  if (Object.keys(config).length > 0) body.inferenceConfig = config;
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html: 0 to 1. */
function fit(
  request: ChatRequest,
  thinking: JsonObject | undefined,
  name: 'temperature' | 'topP' | 'topK',
  value: number,
  { family }: Manner,
): number | undefined {
  if (family === 'claude') {
    return speaksClaude(request) && thinking === undefined
      ? value
      : fitSampling(request, thinking, name, value);
  }
  if (name === 'topK') return family === 'nova' ? value : undefined;
  return Math.min(1, Math.max(0, value));
}
