/** Log-probabilities in the shape from before chat (lists side by side) and in the hub's, which is chat's (a list of tokens). */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';

/** `{tokens, token_logprobs, top_logprobs, text_offset}` as `{content: [{token, logprob, top_logprobs}]}`; undefined for none. */
export function readLogprobs(value: Json | undefined): Json | undefined {
  if (!isObject(value)) return undefined;
  // llama.cpp answers in chat's shape here too.
  if (!Array.isArray(value.tokens)) return Array.isArray(value.content) ? value : undefined;
  const { tokens, token_logprobs: probabilities, top_logprobs: tops } = value;
  const content = tokens.map((token, i): Json => {
    const top = Array.isArray(tops) ? tops[i] : undefined;
    return {
      token: String(token),
      // Of the first token of an echoed prompt there is none.
      logprob: (Array.isArray(probabilities) ? probabilities[i] : undefined) ?? null,
      bytes: null,
      top_logprobs: isObject(top)
        ? Object.entries(top).map(([other, logprob]) => ({
            token: other,
            logprob: logprob ?? null,
            bytes: null,
          }))
        : [],
    };
  });
  return { content, refusal: null };
}

/**
 * The other way. `offset` is where the first token begins, counted from the start of the prompt.
 * @returns the log-probabilities (null for none) and the offset behind the last token.
 */
export function writeLogprobs(
  value: Json | undefined,
  offset: number,
): { logprobs: JsonObject | null; offset: number } {
  const content = isObject(value) && Array.isArray(value.content) ? value.content.filter(isObject) : [];
  if (content.length === 0) return { logprobs: null, offset };
  const tokens: string[] = [];
  const probabilities: Json[] = [];
  const tops: JsonObject[] = [];
  const offsets: number[] = [];
  let at = offset;
  for (const { token, logprob, top_logprobs } of content) {
    const text = typeof token === 'string' ? token : '';
    tokens.push(text);
    probabilities.push(logprob ?? null);
    offsets.push(at);
    at += characters(text);
    const top: JsonObject = {};
    for (const each of Array.isArray(top_logprobs) ? top_logprobs : []) {
      if (isObject(each) && typeof each.token === 'string') top[each.token] = each.logprob ?? null;
    }
    tops.push(top);
  }
  const bare = tops.every((top) => Object.keys(top).length === 0);
  return {
    logprobs: {
      tokens,
      token_logprobs: probabilities,
      ...(!bare && { top_logprobs: tops }),
      text_offset: offsets,
    },
    offset: at,
  };
}

/** Unicode characters, as the hosts count them. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
