/** A whole answer: read to its end, understood as far as money needs it, and made the client's. */
import { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import type { Usage } from '../core/usage.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { JsonSyntaxError, scanMembers, valueText } from '../wire/splice.ts';
import type { Outbound } from './render.ts';
import type { Part } from './stages.ts';

export interface Whole {
  body: Part;
  usage: Usage | undefined;
  /** The answer's text, for counting when it has no usage. */
  text(): string;
}

const utf8 = new TextDecoder();

/** @throws GatewayError when the body is no answer, also under a status of 200: another target may do better. */
export function readAnswer(body: Uint8Array, outbound: Outbound, client: Dialect): Whole {
  const { dialect } = outbound.endpoint;
  const { quirks } = outbound.target;
  if (outbound.relay) {
    const top = topLevel(body, outbound);
    return {
      body,
      usage: dialect.readUsage(top, quirks),
      text: () => answerText(parse(body), dialect, outbound),
    };
  }
  const answer = dialect.readResponse(parse(body), quirks);
  return {
    body: JSON.stringify(client.writeResponse(answer)),
    usage: answer.usage,
    text: () => answerText(parse(body), dialect, outbound),
  };
}

/**
 * The answer's top level. Small answers are parsed, which also proves that they are JSON; in large ones (images,
 * embeddings) the content is skipped. A body without content is an error, whatever its status.
 */
function topLevel(body: Uint8Array, outbound: Outbound): JsonObject {
  const { dialect } = outbound.endpoint;
  const top = body.length <= parsedBytes ? parse(body) : scanTop(body, dialect);
  if (!dialect.contentMembers.some((name) => top[name] !== undefined && top[name] !== null)) {
    dialect.readResponse(top, outbound.target.quirks);
  }
  return top;
}

const parsedBytes = 64 * 1024;

/** All members but content, of which it is only told that it is there. */
function scanTop(body: Uint8Array, dialect: Dialect): JsonObject {
  const top: JsonObject = {};
  for (const member of scan(body)) {
    const skip = dialect.contentMembers.includes(member.name);
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

function parse(body: Uint8Array): JsonObject {
  const value = parseValue(utf8.decode(body));
  if (!isObject(value)) throw invalid('it is not an object');
  return value;
}

function invalid(why: string): GatewayError {
  return new GatewayError('upstream_invalid', `The provider's answer is not valid JSON: ${why}.`);
}

function answerText(body: JsonObject, dialect: Dialect, outbound: Outbound): string {
  let text = '';
  for (const choice of dialect.readResponse(body, outbound.target.quirks).choices) {
    for (const block of choice.blocks) {
      if (block.type === 'text' || block.type === 'reasoning' || block.type === 'refusal') text += block.text;
      else if (block.type === 'tool-call') text += block.name + block.input;
    }
  }
  return text;
}
