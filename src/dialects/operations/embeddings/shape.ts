/** What translations of embeddings have in common: texts in, vectors out, as many as hosts take at once. */
import type { Json, JsonObject } from '../../../core/json.ts';
import { type Ask, invalidAnswer, nameUnsaid, readCount, textOf, unsupported, wrong } from '../operation.ts';

/** What is asked for, as far as it can be said elsewhere. */
export interface Wish {
  texts: string[];
  dimensions: number | undefined;
  /** What the vectors are for, in the words Cohere, Jina and others have for it: `search_query`. */
  inputType: string;
}

/**
 * @param said members that the host understands besides.
 * @throws GatewayError `unsupported` for texts as token ids, `bad_request` for none.
 */
export function readWish(ask: Ask, said: readonly string[], lost: string[]): Wish {
  const { members } = ask;
  nameUnsaid(ask, ['model', 'input', 'dimensions', 'encoding_format', 'input_type', ...said], lost);
  const { encoding_format: encoding } = members;
  if (encoding !== undefined && encoding !== null && encoding !== 'float' && encoding !== 'base64') {
    throw wrong('encoding_format', 'must be float or base64');
  }
  return {
    texts: readTexts(members.input),
    dimensions: readCount(ask, 'dimensions'),
    inputType: textOf(members.input_type),
  };
}

function readTexts(input: Json | undefined): string[] {
  const list = typeof input === 'string' ? [input] : input;
  if (!Array.isArray(list) || list.length === 0) throw wrong('input', 'must be a text or a list of texts');
  return list.map((each) => {
    if (typeof each === 'string') return each;
    if (typeof each === 'number' || Array.isArray(each)) {
      throw unsupported('input', 'is made of token ids, which mean nothing to this model. Send texts.');
    }
    throw wrong('input', 'must hold texts only');
  });
}

/** Requests of at most `most` texts each. */
export function inGroups(texts: readonly string[], most: number): string[][] {
  const groups: string[][] = [];
  for (let at = 0; at < texts.length; at += most) groups.push(texts.slice(at, at + most));
  return groups;
}

/**
 * OpenAI's answer. Official clients ask for base64 unless told otherwise, and decode it themselves.
 * @param tokens undefined where the host did not count.
 * @throws GatewayError `upstream_invalid` when there are not as many vectors as texts.
 */
export function writeVectors(
  vectors: readonly Json[],
  tokens: number | undefined,
  ask: Ask,
  model: string,
): JsonObject {
  const { input, encoding_format: encoding } = ask.members;
  const wanted = Array.isArray(input) ? input.length : 1;
  if (vectors.length !== wanted) throw invalidAnswer(`${vectors.length} vectors for ${wanted} texts`);
  const data = vectors.map((vector, index): JsonObject => {
    if (!isVector(vector)) throw invalidAnswer('a vector is no list of numbers');
    return { object: 'embedding', index, embedding: encoding === 'base64' ? packFloats(vector) : vector };
  });
  const answer: JsonObject = { object: 'list', data, model };
  if (tokens !== undefined) answer.usage = { prompt_tokens: tokens, total_tokens: tokens };
  return answer;
}

function isVector(value: Json): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'number');
}

/** 32-bit floats, the lowest byte first. */
function packFloats(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  let at = 0;
  for (const value of vector) at = bytes.writeFloatLE(value, at);
  return bytes.toString('base64');
}

/** The sum of what each answer counts; undefined where one does not. */
export function sumCounts(counts: readonly (Json | undefined)[]): number | undefined {
  let sum = 0;
  for (const each of counts) {
    if (typeof each !== 'number' || !(each >= 0)) return undefined;
    sum += each;
  }
  return sum;
}
