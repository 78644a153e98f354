/** Files and message batches in Anthropic's shape. https://platform.claude.com/docs/en/api/messages/batches, /beta/files */
import type { JsonObject } from '../../core/json.ts';
import { readUsage } from '../anthropic-messages/usage.ts';
import { anthropicMessages } from '../anthropic-messages.ts';
import {
  type BatchCollection,
  type Collection,
  idOf,
  objectIn,
  type PageAsked,
  readDate,
  readLimit,
  readText,
  type Surface,
} from './surface.ts';

const files: Collection = {
  kind: 'file',
  paths: ['/v1/files'],
  upstream: '/files',
  removable: true,
  parts: { content: { method: 'GET', answer: 'bytes' } },
  describe(document) {
    const id = idOf(document, 'type', 'file');
    return id === undefined ? undefined : { id, final: true, expiresAt: readDate(document.expires_at) };
  },
  readPage(query) {
    const scope = readText(query, 'scope_id');
    const ids = [...query.getAll('ids'), ...query.getAll('ids[]')].flatMap((text) => text.split(','));
    const wants = ({ id, scope: in_ }: JsonObject): boolean =>
      (scope === undefined || objectIn(in_).id === scope) && (ids.length === 0 || ids.includes(String(id)));
    return { ...readCursor(query), wants };
  },
  // Older clients go on by `after_id` and `has_more`, newer ones by the page that comes next.
  writePage: (documents, more) => ({
    ...writePage(documents, more),
    next_page: more ? (documents.at(-1)?.id ?? null) : null,
  }),
};

const batches: BatchCollection = {
  kind: 'batch',
  paths: ['/v1/messages/batches'],
  upstream: '/messages/batches',
  removable: true,
  parts: {
    cancel: { method: 'POST', answer: 'document' },
    results: { method: 'GET', answer: 'bytes' },
  },
  describe(document) {
    const id = idOf(document, 'type', 'message_batch');
    return id === undefined ? undefined : { id, final: document.processing_status === 'ended' };
  },
  readPage: readCursor,
  writePage,
  // The official clients fetch results from wherever the document says, with the key that is for the gateway.
  relocate: (document, origin) =>
    typeof document.results_url === 'string'
      ? {
          ...document,
          results_url: `${origin}/v1/messages/batches/${encodeURIComponent(String(document.id))}/results`,
        }
      : document,
  input: { items: 'requests' },
  requestMember: 'params',
  resultsOf: ({ id, results_url }) =>
    typeof results_url === 'string'
      ? `/messages/batches/${encodeURIComponent(String(id))}/results`
      : undefined,
  usedBy: () => undefined,
  usedIn({ result }) {
    const { model, usage: told } = objectIn(objectIn(result).message);
    const usage = readUsage(told);
    return typeof model !== 'string' || usage === undefined ? undefined : { model, usage };
  },
};

export const anthropicObjects: Surface = {
  name: 'anthropic',
  client: anthropicMessages,
  dialects: ['anthropic-messages'],
  files,
  batches,
};

function readCursor(query: URLSearchParams): PageAsked {
  return {
    limit: readLimit(query, 'limit', 20, 1000),
    after: readText(query, 'after_id') ?? readText(query, 'page'),
    before: readText(query, 'before_id'),
  };
}

function writePage(documents: readonly JsonObject[], more: boolean): JsonObject {
  return {
    data: [...documents],
    has_more: more,
    first_id: documents[0]?.id ?? null,
    last_id: documents.at(-1)?.id ?? null,
  };
}
