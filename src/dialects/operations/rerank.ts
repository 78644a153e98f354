/**
 * Documents in the order of what they say to a query, in the shape that Cohere, Jina and most hosts of open models
 * share: https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc#tag/rerank
 */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { count, emptyUsage, type Usage } from '../../core/usage.ts';
import {
  type Answered,
  type Ask,
  invalidAnswer,
  nameUnsaid,
  type Operation,
  readCount,
  readTokens,
  type Spoken,
  spokenByOpenai,
  textOf,
  wrong,
} from './operation.ts';

/** A query over more counts as several. https://cohere.com/pricing */
const documentsPerSearch = 100;

export const rerank: Operation = {
  name: 'rerank',
  clientPath: '/v1/rerank',
  form: 'never',
  contentMembers: ['results', 'data'],

  spoken(dialect, model): Spoken | undefined {
    if (dialect === 'cohere-v2') return byCohere;
    if (dialect === 'bedrock-converse') return /\brerank\b/.test(model) ? byBedrock : undefined;
    return spokenByOpenai(dialect, '/rerank');
  },

  text: ({ members }) => [members.query, ...listOf(members.documents)].map(documentText).join('\n'),
  /** Most hosts read the query once with each document. */
  estimate(ask, textTokens) {
    const usage = emptyUsage();
    const documents = listOf(ask.members.documents).length;
    const queryTokens = Math.ceil(textOf(ask.members.query).length / 4);
    usage.input = textTokens + queryTokens * Math.max(0, documents - 1);
    usage.units = { search: Math.max(1, Math.ceil(documents / documentsPerSearch)) };
    return usage;
  },
  usage: readUsage,
};

/** Searches at Cohere, tokens at most others. */
function readUsage({ meta, usage: told }: JsonObject): Usage | undefined {
  const units = isObject(meta) ? meta.billed_units : undefined;
  const usage = readTokens(told) ?? readTokens(isObject(meta) ? meta.tokens : undefined);
  const searches = isObject(units) ? units.search_units : undefined;
  if (typeof searches !== 'number') return usage;
  return { ...(usage ?? emptyUsage()), units: { search: count(searches) } };
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** A document is a text, or an object with one; of other members hosts read all. */
function documentText(document: Json | undefined): string {
  if (!isObject(document)) return textOf(document);
  return typeof document.text === 'string' ? document.text : JSON.stringify(document);
}

const said = ['model', 'query', 'documents', 'top_n', 'return_documents'];

function writeBody(ask: Ask, more: readonly string[], lost: string[]): JsonObject {
  const { query, documents } = ask.members;
  if (typeof query !== 'string') throw wrong('query', 'must be a text');
  if (listOf(documents).length === 0) throw wrong('documents', 'must be a list of texts');
  nameUnsaid(ask, [...said, ...more], lost);
  const body: JsonObject = { query, documents: listOf(documents).map(documentText) };
  const topN = readCount(ask, 'top_n');
  if (topN !== undefined) body.top_n = topN;
  for (const name of more) if (ask.members[name] != null) body[name] = ask.members[name];
  return body;
}

/** Documents are not sent back there: whoever wants them gets those of the request. */
function readAnswer([answer]: readonly Answered[], ask: Ask, model: string): JsonObject {
  const { body } = answer!;
  if (!Array.isArray(body.results)) throw invalidAnswer('it has no results');
  const documents = listOf(ask.members.documents);
  const results = body.results.map((result): JsonObject => {
    if (!isObject(result) || typeof result.index !== 'number') throw invalidAnswer('a result has no index');
    const { index, relevance_score } = result;
    const found: JsonObject = { index, relevance_score };
    if (ask.members.return_documents === true) found.document = { text: documentText(documents[index]) };
    return found;
  });
  return { ...body, model, results };
}

const byCohere: Spoken = {
  path: () => '/rerank',
  translation: {
    write: (ask, model, lost) => [{ model, ...writeBody(ask, ['max_tokens_per_doc', 'priority'], lost) }],
    read: readAnswer,
  },
};

/** https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html */
const byBedrock: Spoken = {
  path: (model) => `/model/${encodeURIComponent(model)}/invoke`,
  translation: {
    write(ask, model, lost) {
      const body = writeBody(ask, [], lost);
      return [/cohere/.test(model) ? { ...body, api_version: 2 } : body];
    },
    read: readAnswer,
  },
};
