/** Log-probabilities, which the hub keeps in OpenAI's form. https://ai.google.dev/api/generate-content#LogprobsResult */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { textOf } from './read-part.ts';

/** `chosenCandidates` and `topCandidates` hold an entry for each token; undefined where there is none. */
export function readLogprobs(value: Json | undefined): JsonObject | undefined {
  if (!isObject(value) || !Array.isArray(value.chosenCandidates)) return undefined;
  const top = Array.isArray(value.topCandidates) ? value.topCandidates : [];
  const content = value.chosenCandidates.filter(isObject).map((chosen, i): JsonObject => {
    const alternatives = top[i];
    const others =
      isObject(alternatives) && Array.isArray(alternatives.candidates) ? alternatives.candidates : [];
    return { ...readToken(chosen), top_logprobs: others.filter(isObject).map(readToken) };
  });
  return content.length === 0 ? undefined : { content, refusal: null };
}

function readToken({ token, logProbability }: JsonObject): JsonObject {
  const text = textOf(token);
  const logprob = typeof logProbability === 'number' ? logProbability : 0;
  return { token: text, logprob, bytes: [...Buffer.from(text)] };
}

/** Undefined where `logprobs` is not of the hub's form, or holds no token. */
export function writeLogprobs(logprobs: Json | undefined): JsonObject | undefined {
  if (!isObject(logprobs) || !Array.isArray(logprobs.content) || logprobs.content.length === 0)
    return undefined;
  const tokens = logprobs.content.filter(isObject);
  const top = tokens.map(({ top_logprobs }) =>
    Array.isArray(top_logprobs) ? top_logprobs.filter(isObject) : [],
  );
  return {
    chosenCandidates: tokens.map(writeToken),
    topCandidates: top.map((candidates) => ({ candidates: candidates.map(writeToken) })),
  };
}

function writeToken({ token, logprob }: JsonObject): JsonObject {
  return { token: textOf(token), logProbability: typeof logprob === 'number' ? logprob : 0 };
}
