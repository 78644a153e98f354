/** Files and batches in OpenAI's shape. https://platform.openai.com/docs/api-reference/files, /batch */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { usedNothing } from '../../core/usage.ts';
import { readUsage as readChatUsage } from '../openai-chat/usage.ts';
import { openaiChat } from '../openai-chat.ts';
import { readUsage as readResponsesUsage } from '../openai-responses/usage.ts';
import {
  type BatchCollection,
  type Collection,
  idOf,
  objectIn,
  type PageAsked,
  readLimit,
  readText,
  type Surface,
  type Used,
} from './surface.ts';

const files: Collection = {
  kind: 'file',
  paths: ['/v1/files'],
  upstream: '/files',
  removable: true,
  parts: { content: { method: 'GET', answer: 'bytes' } },
  describe(document) {
    const id = idOf(document, 'object', 'file');
    if (id === undefined) return undefined;
    const { expires_at: at } = document;
    return { id, final: true, expiresAt: typeof at === 'number' ? at * 1000 : undefined };
  },
  readPage(query) {
    const purpose = readText(query, 'purpose');
    return {
      ...readCursor(query, 10_000, 10_000),
      ...(purpose === undefined ? {} : { wants: (document) => document.purpose === purpose }),
    };
  },
  writePage,
};

const ended: ReadonlySet<Json | undefined> = new Set(['completed', 'failed', 'expired', 'cancelled']);

const batches: BatchCollection = {
  kind: 'batch',
  paths: ['/v1/batches'],
  upstream: '/batches',
  removable: false,
  parts: { cancel: { method: 'POST', answer: 'document' } },
  describe(document) {
    const id = idOf(document, 'object', 'batch');
    if (id === undefined) return undefined;
    const { output_file_id, error_file_id } = document;
    const made = [output_file_id, error_file_id].filter((each) => typeof each === 'string' && each !== '');
    return { id, final: ended.has(document.status), files: made as string[] };
  },
  readPage: (query) => readCursor(query, 20, 100),
  writePage,
  input: { file: 'input_file_id' },
  requestMember: 'body',
  resultsOf: ({ output_file_id: file }) =>
    typeof file === 'string' && file !== '' ? `/files/${encodeURIComponent(file)}/content` : undefined,
  usedBy: (document) => usedFor(document),
  usedIn: ({ response }) => usedFor(objectIn(objectIn(response).body)),
};

export const openaiObjects: Surface = {
  name: 'openai',
  client: openaiChat,
  dialects: ['openai-chat', 'openai-responses'],
  files,
  batches,
};

function readCursor(query: URLSearchParams, usual: number, most: number): PageAsked {
  return {
    limit: readLimit(query, 'limit', usual, most),
    after: readText(query, 'after'),
    ascending: query.get('order') === 'asc',
  };
}

function writePage(documents: readonly JsonObject[], more: boolean): JsonObject {
  return {
    object: 'list',
    data: [...documents],
    first_id: documents[0]?.id ?? null,
    last_id: documents.at(-1)?.id ?? null,
    has_more: more,
  };
}

/** Answers of all the endpoints that batches may be for count in one of two ways. */
function usedFor({ model, usage: told }: JsonObject): Used | undefined {
  if (typeof model !== 'string' || !isObject(told)) return undefined;
  const usage = 'input_tokens' in told ? readResponsesUsage(told) : readChatUsage(told, {});
  // Older batches come with zeros.
  return usage === undefined || usedNothing(usage) ? undefined : { model, usage };
}
