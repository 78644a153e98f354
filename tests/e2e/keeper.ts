/** Servers that keep files and run batches as three vendors do, each account seeing its own only: for tests. */
import type { Json, JsonObject } from '../../src/core/json.ts';

interface Kept {
  account: string;
  document: JsonObject;
  content: Uint8Array;
}

export interface KeeperRequest {
  method: string;
  path: string;
  account: string;
  headers: Headers;
}

export interface FakeKeeper {
  /** Base URL of OpenAI's and Anthropic's shapes: `http://127.0.0.1:PORT/v1`; Gemini's begins at `url`/v1beta. */
  base: string;
  url: string;
  requests: KeeperRequest[];
  /** Ends a batch: `results` are lines of its output; `more` is what its document says besides. */
  finish(batch: string, results: readonly Json[], more?: JsonObject): void;
  /** What an account keeps under an id. */
  content(id: string): string;
  stop(): Promise<void>;
}

export function startKeeper(): FakeKeeper {
  const kept = new Map<string, Kept>();
  const requests: KeeperRequest[] = [];
  let made = 0;

  const keep = (account: string, prefix: string, content: Uint8Array, document: JsonObject): Kept => {
    const id = `${prefix}${++made}`;
    const object = { account, content, document: { ...document, id } };
    kept.set(id, object);
    return object;
  };
  const server: Bun.Server<undefined> = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request): Promise<Response> {
      const { pathname, searchParams } = new URL(request.url);
      const account = accountOf(request.headers);
      requests.push({ method: request.method, path: pathname, account, headers: request.headers });
      const visit: Visit = { request, path: pathname, query: searchParams, account, kept, keep };
      if (pathname.includes('/v1beta/')) return answerGemini(visit, server.url.origin);
      if (pathname.endsWith('/chat/completions')) return Response.json(completion(account));
      if (pathname.endsWith('/messages')) return Response.json(message(account));
      if (pathname.startsWith('/v1/messages/batches')) return answerMessageBatches(visit);
      if (pathname.startsWith('/v1/batches')) return answerBatches(visit);
      if (pathname.startsWith('/v1/files')) return answerFiles(visit);
      return refuse(404, `nothing at ${pathname}`);
    },
  });
  return {
    url: server.url.origin,
    base: `${server.url.origin}/v1`,
    requests,
    finish(id, results, more = {}) {
      const batch = kept.get(id)!;
      const text = Buffer.from(results.map((line) => `${JSON.stringify(line)}\n`).join(''));
      if (batch.document.object === 'batch') {
        const { document } = keep(
          batch.account,
          'file-out-',
          text,
          openaiFile('out.jsonl', text, 'batch_output'),
        );
        Object.assign(batch.document, { status: 'completed', output_file_id: document.id }, more);
      } else {
        batch.content = text;
        const results_url = `https://vendor.invalid/v1/messages/batches/${id}/results`;
        Object.assign(batch.document, { processing_status: 'ended', results_url }, more);
      }
    },
    content: (id) => Buffer.from(kept.get(id)!.content).toString(),
    stop: () => server.stop(true),
  };
}

interface Visit {
  request: Request;
  path: string;
  query: URLSearchParams;
  account: string;
  kept: Map<string, Kept>;
  keep(account: string, prefix: string, content: Uint8Array, document: JsonObject): Kept;
}

function accountOf(headers: Headers): string {
  const bearer = headers.get('authorization')?.replace('Bearer ', '');
  return bearer ?? headers.get('x-api-key') ?? headers.get('x-goog-api-key') ?? '';
}

function refuse(status: number, text: string): Response {
  return Response.json(
    { type: 'error', error: { type: 'invalid_request_error', message: text } },
    { status },
  );
}

/** What the account has under an id in the path, and what follows it. */
function find({ path, kept, account }: Visit, list: string): { object: Kept | undefined; part: string } {
  const [id = '', part = ''] = path.slice(list.length + 1).split(/[/:]/);
  const object = kept.get(id);
  return { object: object?.account === account ? object : undefined, part };
}

function openaiFile(filename: string, content: Uint8Array, purpose: string): JsonObject {
  return {
    object: 'file',
    bytes: content.length,
    created_at: 1_700_000_000,
    filename,
    purpose,
    status: 'processed',
  };
}

async function answerFiles(visit: Visit): Promise<Response> {
  const { request, path, keep, account } = visit;
  const anthropic = request.headers.has('anthropic-version');
  if (path === '/v1/files') {
    if (request.method !== 'POST') return refuse(405, 'lists are of everybody');
    const form = await request.formData();
    const file = form.get('file') as File;
    const content = await file.bytes();
    const document = anthropic
      ? {
          type: 'file',
          filename: file.name,
          mime_type: file.type,
          size_bytes: content.length,
          created_at: '2026-01-01T00:00:00Z',
          downloadable: true,
        }
      : openaiFile(file.name, content, String(form.get('purpose')));
    return Response.json(keep(account, anthropic ? 'file_' : 'file-', content, document).document);
  }
  const { object, part } = find(visit, '/v1/files');
  if (object === undefined) return refuse(404, `No such File object: ${path}`);
  if (part === 'content') {
    return new Response(object.content as Uint8Array<ArrayBuffer>, {
      headers: {
        'content-type': 'application/octet-stream',
        'content-disposition': 'attachment; filename="out.jsonl"',
      },
    });
  }
  if (request.method !== 'DELETE') return Response.json(object.document);
  const { id } = object.document;
  visit.kept.delete(String(id));
  return Response.json(anthropic ? { id, type: 'file_deleted' } : { id, object: 'file', deleted: true });
}

async function answerBatches(visit: Visit): Promise<Response> {
  const { request, path, keep, account } = visit;
  if (path === '/v1/batches') {
    const body = (await request.json()) as JsonObject;
    const document = { object: 'batch', ...body, created_at: 1_700_000_000, status: 'in_progress' };
    return Response.json(keep(account, 'batch_', new Uint8Array(), document).document);
  }
  const { object, part } = find(visit, '/v1/batches');
  if (object === undefined) return refuse(404, `No batch found: ${path}`);
  if (part === 'cancel') object.document.status = 'cancelling';
  return Response.json(object.document);
}

async function answerMessageBatches(visit: Visit): Promise<Response> {
  const { request, path, keep, account } = visit;
  if (path === '/v1/messages/batches') {
    const { requests } = (await request.json()) as { requests: JsonObject[] };
    const document = {
      type: 'message_batch',
      processing_status: 'in_progress',
      request_counts: { processing: requests.length, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
      created_at: '2026-01-01T00:00:00Z',
      expires_at: '2026-01-02T00:00:00Z',
      ended_at: null,
      results_url: null,
    };
    return Response.json(keep(account, 'msgbatch_', new Uint8Array(), document).document);
  }
  const { object, part } = find(visit, '/v1/messages/batches');
  if (object === undefined) return refuse(404, `No batch: ${path}`);
  if (part === 'results') {
    return new Response(object.content as Uint8Array<ArrayBuffer>, {
      headers: { 'content-type': 'application/x-jsonl' },
    });
  }
  if (part === 'cancel') object.document.processing_status = 'canceling';
  if (request.method !== 'DELETE') return Response.json(object.document);
  visit.kept.delete(String(object.document.id));
  return Response.json({ id: object.document.id, type: 'message_batch_deleted' });
}

/** The upload that was begun last, and its parts so far. */
let begun: { type: string; parts: Uint8Array[] } = { type: '', parts: [] };

async function answerGemini(visit: Visit, origin: string): Promise<Response> {
  const { request, path, query, keep, account } = visit;
  if (path === '/upload/v1beta/files') {
    const command = request.headers.get('x-goog-upload-command') ?? '';
    if (command === 'start') {
      begun = { type: request.headers.get('x-goog-upload-header-content-type') ?? '', parts: [] };
      const url = `${origin}${path}?upload_id=up-${account}&upload_protocol=resumable`;
      return new Response('', { headers: { 'x-goog-upload-url': url, 'x-goog-upload-status': 'active' } });
    }
    if (query.get('upload_id') !== `up-${account}`) return refuse(404, 'no such upload');
    begun.parts.push(await request.bytes());
    if (!command.includes('finalize'))
      return new Response('', { headers: { 'x-goog-upload-status': 'active' } });
    const content = Buffer.concat(begun.parts);
    const { document } = keep(account, 'gem', content, {
      mimeType: begun.type,
      sizeBytes: String(content.length),
    });
    Object.assign(document, {
      name: `files/${document.id}`,
      uri: `https://vendor.invalid/v1beta/files/${document.id}`,
      state: 'PROCESSING',
    });
    return Response.json({ file: document }, { headers: { 'x-goog-upload-status': 'final' } });
  }
  const { object, part } = find(visit, '/v1beta/files');
  if (object === undefined)
    return Response.json({ error: { code: 404, message: 'no file', status: 'NOT_FOUND' } }, { status: 404 });
  if (part === 'download') return new Response(object.content as Uint8Array<ArrayBuffer>);
  if (request.method === 'DELETE') {
    visit.kept.delete(String(object.document.id));
    return Response.json({});
  }
  object.document.state = 'ACTIVE';
  return Response.json(object.document);
}

/** Says whose key was used. */
const completion = (account: string): JsonObject => ({
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { role: 'assistant', content: account }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
});

const message = (account: string): JsonObject => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-haiku-4-5',
  content: [{ type: 'text', text: account }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 3, output_tokens: 2 },
});
