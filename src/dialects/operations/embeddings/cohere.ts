/** Embeddings of Cohere: https://docs.cohere.com/reference/embed */
import { isObject, type Json, type JsonObject } from '../../../core/json.ts';
import type { Ask, Spoken } from '../operation.ts';
import { inGroups, readWish, sumCounts, writeVectors } from './shape.ts';

/** Of one request. */
const maxTexts = 96;
/** Members that mean the same there. */
const said = ['truncate', 'max_tokens', 'priority'];
/** What texts are for has to be said; most are documents that shall be found. */
const usualInputType = 'search_document';

export const embedByCohere: Spoken = {
  path: () => '/embed',
  translation: {
    write: (ask, model, lost) => writeRequests(ask, lost).map((body) => ({ model, ...body })),
    read(answers, ask, model) {
      const counts = answers.map(({ body }) => billedTokens(body.meta));
      const vectors = answers.flatMap(({ body }) => vectorsOf(body.embeddings));
      return writeVectors(vectors, sumCounts(counts), ask, model);
    },
  },
};

/** All of each request but the model's name. @throws GatewayError */
export function writeRequests(ask: Ask, lost: string[]): JsonObject[] {
  const { texts, dimensions, inputType } = readWish(ask, said, lost);
  return inGroups(texts, maxTexts).map((group): JsonObject => {
    const body: JsonObject = {
      texts: group,
      input_type: inputType || usualInputType,
      embedding_types: ['float'],
    };
    if (dimensions !== undefined) body.output_dimension = dimensions;
    for (const name of said) if (ask.members[name] != null) body[name] = ask.members[name];
    return body;
  });
}

/** By type, or as a plain list where no type was asked for. */
export function vectorsOf(embeddings: Json | undefined): Json[] {
  const list = isObject(embeddings) ? embeddings.float : embeddings;
  return Array.isArray(list) ? list : [];
}

function billedTokens(meta: Json | undefined): Json | undefined {
  if (!isObject(meta)) return undefined;
  const { billed_units: billed, tokens } = meta;
  return (
    (isObject(billed) ? billed.input_tokens : undefined) ??
    (isObject(tokens) ? tokens.input_tokens : undefined)
  );
}
