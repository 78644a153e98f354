/** Operations of the mock that read texts: vectors, verdicts and ranks, the same for the same text every time. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Behaviour } from '../behaviour.ts';
import type { OperationAsk, Said } from '../operations.ts';
import { countTokens } from '../plan.ts';

const usualDimensions = 8;

export function embed({ model, members }: OperationAsk, behaviour: Behaviour): Said {
  const { input, encoding_format: encoding } = members;
  const texts = Array.isArray(input) && typeof input[0] !== 'number' ? input : [input];
  const dimensions = typeof members.dimensions === 'number' ? members.dimensions : usualDimensions;
  const data = texts.map((text, index) => {
    const vector = vectorOf(wordsOf(text), dimensions);
    const packed = Buffer.from(Float32Array.from(vector).buffer).toString('base64');
    return { object: 'embedding', index, embedding: encoding === 'base64' ? packed : vector };
  });
  const tokens = behaviour.input ?? texts.reduce<number>((sum, text) => sum + tokensOf(text), 0);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return { json: { object: 'list', data, model, ...(behaviour.usage !== 'none' && { usage }) } };
}

function wordsOf(text: Json | undefined): string {
  return typeof text === 'string' ? text : JSON.stringify(text ?? '');
}

/** Token ids are so many tokens. */
function tokensOf(text: Json | undefined): number {
  return Array.isArray(text) ? text.length : countTokens(wordsOf(text).length);
}

/** Of length 1, as most models' are. */
function vectorOf(text: string, dimensions: number): number[] {
  const values = Array.from(
    { length: dimensions },
    (_, i) => (Bun.hash.crc32(`${i} ${text}`) % 2001) / 1000 - 1,
  );
  const length = Math.hypot(...values) || 1;
  return values.map((value) => value / length);
}

/** What says `flagged` is. */
export function moderate({ model, members }: OperationAsk): Said {
  const { input } = members;
  // Parts of one message are judged together.
  const texts = Array.isArray(input) && !isObject(input[0]) ? input : [input];
  const results = texts.map((text) => {
    const flagged = wordsOf(text).includes('flagged');
    return {
      flagged,
      categories: { violence: flagged },
      category_scores: { violence: flagged ? 0.99 : 0.01 },
    };
  });
  return { json: { id: 'modr-mock', model, results } };
}

/** By the share of the query's words that are in a document. */
export function rank({ model, members }: OperationAsk, behaviour: Behaviour): Said {
  const query = new Set(wordsOf(members.query).toLowerCase().split(/\W+/));
  const documents = (Array.isArray(members.documents) ? members.documents : []).map(documentOf);
  const results = documents
    .map((text, index): JsonObject => {
      const words = new Set(text.toLowerCase().split(/\W+/));
      const found = [...query].filter((word) => words.has(word)).length;
      const document = members.return_documents === true ? { document: { text } } : {};
      return { index, relevance_score: found / query.size, ...document };
    })
    .sort((a, b) => Number(b.relevance_score) - Number(a.relevance_score))
    .slice(0, typeof members.top_n === 'number' ? members.top_n : undefined);
  const meta = { billed_units: { search_units: Math.ceil(documents.length / 100) } };
  return { json: { id: 'rank-mock', model, results, ...(behaviour.usage !== 'none' && { meta }) } };
}

function documentOf(document: Json): string {
  return isObject(document) ? wordsOf(document.text) : wordsOf(document);
}
