/** Whole answers of Gemini, read into the hub and written from it. */
import type { ChatEvent, ChatResponse } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { fold } from '../../core/fold.ts';
import type { JsonObject } from '../../core/json.ts';
import { dialectName } from './read-part.ts';
import { GeminiReader } from './read-stream.ts';
import { writeAnswerParts } from './write-answer.ts';
import { writeCandidate, writeEnvelope } from './write-candidate.ts';

/**
 * A whole answer has the form of a stream's only piece, and is read as one.
 * @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds.
 */
export function readResponse(body: JsonObject): ChatResponse {
  const events: ChatEvent[] = [];
  const reader = new GeminiReader((event) => events.push(event));
  reader.pushChunk(body);
  reader.end(true);
  const last = events.at(-1);
  if (last?.type === 'error') throw last.error;
  if (last?.type !== 'end') {
    throw new GatewayError(
      'upstream_invalid',
      'The provider answered with something that holds neither a candidate nor a reason why there is none.',
    );
  }
  return fold(events, dialectName);
}

export function writeResponse(response: ChatResponse): JsonObject {
  const { choices } = response;
  const own = response.dialect === dialectName ? response.extra : undefined;
  const candidates = choices
    .map((choice) => writeCandidate(choice, writeAnswerParts(choice.blocks)))
    .filter((candidate) => candidate !== undefined);
  return {
    ...(candidates.length > 0 && { candidates }),
    ...writeEnvelope(response, response.usage, choices[0]?.extra),
    ...own,
  };
}
