/** Files and batches for clients: kept by a provider, found again by those whose they are. */
import { GatewayError } from '../../core/error.ts';
import { surfaces } from '../../dialects/objects/index.ts';
import type { Collection, Surface } from '../../dialects/objects/surface.ts';
import type { Answer, ClientRequest } from '../../wire/http/server/messages.ts';
import { Call } from '../call.ts';
import type { Gateway } from '../gateway.ts';
import { admit, refuse } from '../handle.ts';
import { createBatch } from './batch-create.ts';
import { listObjects } from './object-list.ts';
import { goOnUploading, upload } from './object-upload.ts';
import { Visit } from './object-visit.ts';
import { readBytesOf, readObject, removeObject, touchObject } from './object-visits.ts';

/** What a path says. */
export interface ObjectAsked {
  surface: Surface;
  collection: Collection;
  path: string;
  /** '' for none. */
  id: string;
  part: string;
  /** It is where files are sent to, and nothing else. */
  uploads: boolean;
}

/** Undefined: the path is of none of the surfaces. */
export function matchObject(path: string, headers: Pick<Headers, 'has'>): ObjectAsked | undefined {
  let first: ObjectAsked | undefined;
  for (const surface of surfaces) {
    for (const collection of [surface.files, surface.batches]) {
      const asked = collection && matchCollection(path, surface, collection);
      if (asked === undefined) continue;
      const { clientHeader } = surface.client;
      if (clientHeader !== undefined && headers.has(clientHeader)) return asked;
      first ??= asked;
    }
  }
  return first;
}

function matchCollection(path: string, surface: Surface, collection: Collection): ObjectAsked | undefined {
  const asked = { surface, collection, path, id: '', part: '', uploads: false };
  if (collection.upload?.paths.includes(path)) return { ...asked, uploads: true };
  const base = collection.paths.find((each) => path === each || path.startsWith(`${each}/`));
  if (base === undefined) return undefined;
  const [, id = '', part = ''] = /^([^/:]*)(.*)$/.exec(decode(path.slice(base.length + 1))) ?? [];
  return { ...asked, id, part };
}

/** What is no proper escape is taken as it stands: then it is no id either. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Never rejects: every failure is an answer the client's SDK understands. */
export async function handleObject(
  request: ClientRequest,
  asked: ObjectAsked,
  query: string,
  gateway: Gateway,
): Promise<Answer> {
  const { surface, collection } = asked;
  const call = new Call(
    gateway,
    surface.client,
    gateway.snapshot(),
    collection.kind === 'file' ? 'files' : 'batches',
  );
  const visit = new Visit(call, request, asked, new URLSearchParams(query));
  try {
    admit(call, request);
    await visit.reserve();
    return await serve(visit);
  } catch (thrown) {
    visit.settle();
    return refuse(call, thrown, request);
  }
}

function serve(visit: Visit): Promise<Answer> {
  const { asked, request } = visit;
  const { collection, id } = asked;
  const { method } = request;
  if (asked.uploads) {
    const further = visit.query.has(collection.upload!.idParameter);
    if (further && (method === 'POST' || method === 'PUT')) return goOnUploading(visit);
    if (!further && method === 'POST') return upload(visit);
  } else if (id === '') {
    if (method === 'GET') return listObjects(visit);
    if (method === 'POST' && collection.kind === 'batch') return createBatch(visit);
    if (method === 'POST' && collection.upload === undefined) return upload(visit);
  } else if (asked.part === '') {
    if (method === 'GET') return readObject(visit);
    if (method === 'DELETE' && collection.removable) return removeObject(visit);
  } else return servePart(visit);
  throw wrongMethod(visit);
}

function servePart(visit: Visit): Promise<Answer> {
  const { asked, request } = visit;
  for (const [name, { mark = '/', method, answer }] of Object.entries(asked.collection.parts)) {
    if (asked.part !== mark + name) continue;
    if (request.method !== method) throw wrongMethod(visit);
    return answer === 'bytes' ? readBytesOf(visit, mark + name) : touchObject(visit, mark + name);
  }
  throw new GatewayError('not_found', `There is nothing at ${asked.path}.`, {
    code: 'unknown_url',
  });
}

function wrongMethod({ request, asked }: Visit): GatewayError {
  return new GatewayError('method_not_allowed', `${request.method} is not possible at ${asked.path}.`);
}
