/** Files on their way to a provider: they pass through, and are never in memory as a whole. */
import { clientGone, GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import { isObject } from '../../core/json.ts';
import type { Answer } from '../../wire/http/server/messages.ts';
import type { StreamedBody } from '../../wire/http/streamed.ts';
import type { Errand } from '../headers.ts';
import type { Upstream } from '../upstream.ts';
import { type Keeping, parseDocument, type Ran, readAll } from './errand.ts';
import { originOf, type Visit } from './object-visit.ts';

/** An upload that is not finished by then is not gone on with: providers keep them for a week. */
const unfinishedMs = 8 * 24 * 3_600_000;

export async function upload(visit: Visit): Promise<Answer> {
  const provider = visit.choose();
  const keeper = provider.keeps!.get(visit.asked.surface.name)!;
  return send(visit, visit.keepAt(provider, keeper.uploads));
}

/** A further part of a file, or the last one. @throws GatewayError `not_found` when it is nobody's, or somebody else's. */
export async function goOnUploading(visit: Visit): Promise<Answer> {
  const { idParameter } = visit.asked.collection.upload!;
  const begun = await visit.find(visit.query.get(idParameter)!, 'upload');
  const { provider, key } = visit.locate(begun);
  const { uploads } = provider.keeps!.get(visit.asked.surface.name)!;
  return send(visit, { provider, endpoint: uploads, key });
}

async function send(visit: Visit, keeping: Keeping): Promise<Answer> {
  const { collection } = visit.asked;
  const passing = new Passing(visit);
  const method = visit.request.method === 'PUT' ? 'PUT' : 'POST';
  const errand: Errand = { method, headers: headersOf(visit), body: passing.body };
  try {
    const path = collection.upstream + visit.search;
    const ran = await visit.run(errand, path, keeping, (upstream) => {
      passing.upstream = upstream;
    });
    return await answer(visit, keeping, ran);
  } catch (thrown) {
    throw passing.failure ?? thrown;
  }
}

/** The client's body, watched while it passes. */
class Passing {
  upstream: Upstream | undefined;
  /** Why it was stopped. */
  failure: GatewayError | undefined;
  readonly body: StreamedBody | string;
  private readonly limit: number;

  constructor(private readonly visit: Visit) {
    const { headers, body } = visit.request;
    this.limit = visit.call.snapshot.settings.fileLimitBytes;
    const declared = headers.get('content-length');
    const size = declared === null ? undefined : Number(declared);
    if (size !== undefined && size > this.limit) throw tooLarge(this.limit);
    const encoding = headers.get('content-encoding');
    if (encoding !== null && encoding !== 'identity') {
      throw new GatewayError('bad_request', 'Files are taken as they are: send no content-encoding.', {
        status: 415,
      });
    }
    this.body = body === null ? '' : { chunks: this.pass(body), size };
  }

  private async *pass(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { request } = this.visit;
    let passed = 0;
    for await (const chunk of body) {
      passed += chunk.length;
      if (passed > this.limit) {
        this.failure = tooLarge(this.limit);
        throw this.failure;
      }
      this.upstream?.sending();
      yield chunk;
    }
    // What ends because the client has left is not whole.
    if (request.gone) throw clientGone();
  }
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError(
    'too_large',
    `The file is larger than ${limit} bytes. Send less, or raise file_limit in the gateway's configuration.`,
  );
}

function headersOf({ request, asked }: Visit): Record<string, string> {
  const headers: Record<string, string> = {};
  const type = request.headers.get('content-type');
  if (type !== null) headers['content-type'] = type;
  const { upload } = asked.collection;
  if (upload === undefined) return headers;
  for (const [name, value] of request.headers) if (name.startsWith(upload.headers)) headers[name] = value;
  return headers;
}

/** Notes what was made before its maker hears of it: nobody else may come by it. */
async function answer(visit: Visit, keeping: Keeping, ran: Ran): Promise<Answer> {
  const { upload } = visit.asked.collection;
  const bytes = await readAll(ran);
  const more: Record<string, string> = {};
  if (upload !== undefined) {
    for (const [name, value] of ran.reply.headers()) if (name.startsWith(upload.headers)) more[name] = value;
    const next = more[upload.nextHeader];
    if (next !== undefined) more[upload.nextHeader] = await noteUpload(visit, keeping, next);
  }
  // Parts of a file are acknowledged in headers alone.
  if (upload === undefined || bytes.length > 0) await noteFile(visit, keeping, parseDocument(bytes), more);
  return visit.answer(bytes, keeping.provider.name, more);
}

async function noteFile(
  visit: Visit,
  keeping: Keeping,
  body: JsonObject,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const { collection } = visit.asked;
  const document = collection.unwrap?.(body) ?? body;
  const described = isObject(document) ? collection.describe(document) : undefined;
  if (described === undefined) {
    // An upload has begun, and nothing is there yet.
    if (collection.upload !== undefined && headers[collection.upload.nextHeader] !== undefined) return;
    throw new GatewayError('upstream_invalid', 'The provider answered something that describes no file.');
  }
  const { id, final, expiresAt } = described;
  const object = visit.made(keeping, id, 'file');
  await visit.gateway.objects.note({ ...object, document: JSON.stringify(document), final, expiresAt });
}

/** @returns where the next part is to be sent: to the gateway. */
async function noteUpload(visit: Visit, keeping: Keeping, next: string): Promise<string> {
  const { idParameter } = visit.asked.collection.upload!;
  const { search, searchParams } = new URL(next);
  const id = searchParams.get(idParameter);
  if (id === null)
    throw new GatewayError('upstream_invalid', 'The provider does not name the upload it began.');
  const object = visit.made(keeping, id, 'upload');
  await visit.gateway.objects.note({ ...object, expiresAt: object.createdAt + unfinishedMs });
  return originOf(visit.request) + visit.asked.path + search;
}
