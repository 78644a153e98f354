/** A whole answer: read to its end, understood as far as money needs it, and made the client's. */
import type { ChatResponse, StopReason } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { restoreWords } from '../core/tool-words.ts';
import type { Usage } from '../core/usage.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import type { Quirks } from '../dialects/quirks.ts';
import { utf8 } from '../wire/bytes.ts';
import { JsonSyntaxError, scanMembers, valueText } from '../wire/splice.ts';
import type { Inbound, Outbound } from './render.ts';
import { mayBeSilent, stopsOf } from './silence.ts';
import type { Part } from './stages.ts';

export class Whole {
  /** What the client gets. */
  readonly body: Part;
  readonly usage: Usage | undefined;
  /** How each choice has ended; none where anything is said in it. Of large answers it is taken that something is. */
  readonly stops: readonly StopReason[] = none;

  /** @throws GatewayError when the body is no answer, also under a status of 200: another target may do better. */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly outbound: Outbound,
    inbound: Inbound,
  ) {
    const { quirks } = outbound.target;
    const { dialect } = inbound;
    if (outbound.relay) {
      this.body = bytes;
      const top = topLevel(bytes, dialect, quirks);
      this.usage = dialect.readUsage(top, quirks);
      if (bytes.length <= parsedBytes && mayBeSilent(top, dialect.contentMembers))
        this.stops = stopsOf(dialect.readResponse(top, quirks));
    } else {
      const answer = readAnswer(bytes, outbound, inbound);
      this.body = JSON.stringify(dialect.writeResponse(answer, inbound.wish));
      this.usage = answer.usage;
      this.stops = stopsOf(answer);
    }
  }

  /** The answer's text, for counting when it has no usage. */
  text(): string {
    const { endpoint, target } = this.outbound;
    return answerText(endpoint.dialect.readResponse(parse(this.bytes), target.quirks));
  }
}

/** A translated answer in the client's words. @throws GatewayError when the body is no answer. */
export function readAnswer(bytes: Uint8Array, outbound: Outbound, inbound: Inbound): ChatResponse {
  const answer = outbound.endpoint.dialect.readResponse(parse(bytes), outbound.target.quirks);
  // Where only the path names the model, the answer does not.
  answer.model ||= outbound.target.model;
  restoreWords(answer, outbound.names, inbound.dialect.can.toolIds);
  const { remember } = inbound;
  if (remember !== undefined) for (const { blocks } of answer.choices) remember(blocks);
  return answer;
}

/** All that a model wrote. */
export function answerText({ choices }: ChatResponse): string {
  let text = '';
  for (const { blocks } of choices) {
    for (const block of blocks) {
      if (block.type === 'text' || block.type === 'reasoning' || block.type === 'refusal') text += block.text;
      else if (block.type === 'tool-call') text += block.name + block.input;
    }
  }
  return text;
}

/**
 * The answer's top level. Small answers are parsed, which also proves that they are JSON; in large ones (images,
 * embeddings) the content is skipped. A body without content is an error, whatever its status.
 */
function topLevel(body: Uint8Array, dialect: ClientDialect, quirks: Quirks): JsonObject {
  const { contentMembers, countedContent } = dialect;
  const small = body.length <= parsedBytes;
  const counted =
    !small &&
    countedContent !== undefined &&
    Buffer.from(body.buffer, body.byteOffset, body.length).includes(countedContent);
  const top = small || counted ? parse(body) : scanTop(body, contentMembers);
  if (!hasContent(top, dialect)) dialect.readResponse(top, quirks);
  return top;
}

function hasContent(top: JsonObject, dialect: ClientDialect): boolean {
  for (const name of dialect.contentMembers) if (top[name] !== undefined && top[name] !== null) return true;
  return false;
}

const none: readonly StopReason[] = [];
const parsedBytes = 64 * 1024;

/** All members but content, of which it is only told that it is there. */
export function scanTop(body: Uint8Array, contentMembers: readonly string[]): JsonObject {
  const top: JsonObject = {};
  for (const member of scan(body)) {
    const skip = contentMembers.includes(member.name);
    top[member.name] = skip ? true : parseValue(valueText(body, member));
  }
  return top;
}

function scan(body: Uint8Array) {
  try {
    return scanMembers(body);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw invalid(error.message);
    throw error;
  }
}

function parseValue(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

/** @throws GatewayError `upstream_invalid`. */
export function parse(body: Uint8Array): JsonObject {
  const text = utf8(body);
  // A byte order mark before JSON is tolerated, as most parsers do.
  const value = parseValue(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  if (!isObject(value)) throw invalid('it is not an object');
  return value;
}

function invalid(why: string): GatewayError {
  return new GatewayError('upstream_invalid', `The provider's answer is not valid JSON: ${why}.`);
}
