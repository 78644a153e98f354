/** What whole answers and streams of Cohere have in common: why they end, citations and log-probabilities. */
import type { Citation, StopReason } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, wordIn } from '../../core/json.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { dialectName } from './content.ts';

// Why it ended

const finishes: Readonly<Record<string, StopReason>> = {
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'stop_sequence',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
};

/** A reason yet to be invented counts as a plain stop. @param called the answer holds a tool call. */
export function readStop(reason: Json | undefined, called: boolean): StopReason {
  const stop = wordIn(finishes, reason) ?? 'stop';
  if (stop === 'stop' && called) return 'tool_calls';
  return stop === 'tool_calls' && !called ? 'stop' : stop;
}

/** The failure an answer ends in, if it does: it is not whole then. @param told the provider's words on it. */
export function failureOf(reason: Json | undefined, told: Json | undefined): GatewayError | undefined {
  const said = typeof told === 'string' && told !== '' ? told : undefined;
  if (reason === 'TIMEOUT') {
    return new GatewayError(
      'upstream_timeout',
      said ?? 'The provider ran out of time in the middle of its answer.',
    );
  }
  if (said !== undefined) return classifyErrorPayload({ message: said });
  if (reason !== 'ERROR') return undefined;
  return new GatewayError(
    'upstream_unavailable',
    'The provider broke off its answer with an error and did not say why.',
  );
}

// Citations

/** Citations of thoughts and plans, which the hub has no place for. */
const unplaced: ReadonlySet<unknown> = new Set(['THINKING_CONTENT', 'PLAN']);

/** Whether a citation is about the text part at `index`. Older models do not say which: they write one. */
export function isAboutText({ type, content_index: part }: JsonObject, index: Json | undefined): boolean {
  return !unplaced.has(type) && (typeof part !== 'number' || part === index);
}

/**
 * A citation in `text`, once for each of its sources: others know one URL at a time. Places are counted in Unicode
 * characters on the wire, in UTF-16 units in the hub. https://docs.cohere.com/docs/rag-citations
 */
export function readCitations(value: JsonObject, text: string): Citation[] {
  const place: Citation = { value, dialect: dialectName };
  if (typeof value.start === 'number') place.start = utf16Length(text, value.start);
  if (typeof value.end === 'number') place.end = utf16Length(text, value.end);
  const sources = Array.isArray(value.sources) ? value.sources.filter(isObject) : [];
  if (sources.length === 0) return [place];
  return sources.map((source) => {
    const citation = { ...place };
    const { document, tool_output: output } = source;
    const about = isObject(document) ? document : isObject(output) ? output : {};
    if (typeof about.url === 'string') citation.url = about.url;
    if (typeof about.title === 'string') citation.title = about.title;
    return citation;
  });
}

/** How many UTF-16 units the first `characters` of `text` are. */
function utf16Length(text: string, characters: number): number {
  let units = 0;
  for (let left = characters; left > 0 && units < text.length; left--) {
    units += text.codePointAt(units)! > 0xffff ? 2 : 1;
  }
  return units;
}

// Log-probabilities

/**
 * `{text, token_ids, logprobs}` in the form that others have: a piece of text may be several tokens, whose
 * probabilities together are its own. Undefined when there is nothing to tell.
 */
export function readLogprobs(value: Json | undefined): Json | undefined {
  if (value === undefined) return undefined;
  const items = Array.isArray(value) ? value : [value];
  const content = items.flatMap((item) => {
    if (!isObject(item) || typeof item.text !== 'string' || !Array.isArray(item.logprobs)) return [];
    const logprob = item.logprobs.reduce<number>(
      (sum, each) => sum + (typeof each === 'number' ? each : 0),
      0,
    );
    return [{ token: item.text, logprob, bytes: [...Buffer.from(item.text)], top_logprobs: [] }];
  });
  return content.length === 0 ? undefined : { content, refusal: null };
}
