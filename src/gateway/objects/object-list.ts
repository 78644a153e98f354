/** Lists of files and batches: those that are the caller's, as their providers have described them. */
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import type { KeptObject, ObjectPage } from '../../core/objects.ts';
import type { Answer } from '../../wire/http/server/messages.ts';
import { fetchDocument } from './object-documents.ts';
import { providerHeader } from './object-places.ts';
import type { Visit } from './object-visit.ts';

/** Looked up in the store at once. */
const rowsAtOnce = 200;
/** Asked of providers at once: those that may have something new to say. */
const askedAtOnce = 8;

/**
 * The store knows whose they are, and in what order; what may have changed since is asked of the provider. A list of
 * the provider's own would be of everybody's, and have to be searched from end to end.
 */
export async function listObjects(visit: Visit): Promise<Answer> {
  const { asked, owner, query } = visit;
  const { collection, surface } = asked;
  const wish = collection.readPage(query);
  const page: ObjectPage = {
    owner,
    surface: surface.name,
    kind: collection.kind,
    provider: visit.request.headers.get(providerHeader) ?? undefined,
    after: wish.after,
    before: wish.before,
    ascending: wish.ascending ?? false,
    limit: rowsAtOnce,
  };
  const found: JsonObject[] = [];
  // One more than was asked for tells whether there are more.
  const wanted = wish.limit + 1;
  for (;;) {
    page.limit = Math.min(rowsAtOnce, wanted - found.length);
    const rows = await visit.gateway.objects.list(page);
    if (rows === undefined) throw unknownCursor(page);
    const documents = (await describe(rows, visit)).filter((each) => wish.wants?.(each) ?? true);
    if (page.before === undefined) found.push(...documents);
    else found.unshift(...documents);
    if (rows.length < page.limit || found.length >= wanted) break;
    if (page.before === undefined) page.after = rows.at(-1)!.id;
    else page.before = rows[0]!.id;
  }
  const more = found.length > wish.limit;
  if (more) found.splice(page.before === undefined ? wish.limit : 0, 1);
  return visit.answer(
    collection.writePage(
      found.map((each) => visit.relocated(each)),
      more,
    ),
  );
}

/** Without those that their providers know no more. */
async function describe(rows: readonly KeptObject[], visit: Visit): Promise<JsonObject[]> {
  const documents: (JsonObject | undefined)[] = [];
  for (let i = 0; i < rows.length; i += askedAtOnce) {
    const some = rows.slice(i, i + askedAtOnce);
    documents.push(...(await Promise.all(some.map((object) => current(object, visit)))));
  }
  return documents.filter((each) => each !== undefined);
}

async function current(object: KeptObject, visit: Visit): Promise<JsonObject | undefined> {
  const known: JsonObject | undefined = object.document && JSON.parse(object.document);
  if (object.final && known !== undefined) return known;
  try {
    return await fetchDocument(object, visit.gateway, visit.request);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.kind === 'cancelled') throw thrown;
    // Gone; or its provider is out of reach, and the last word stands.
    return thrown.status === 404 ? undefined : known;
  }
}

function unknownCursor({ after, before }: ObjectPage): GatewayError {
  return new GatewayError('bad_request', `There is no '${after ?? before}' from which a list could go on.`, {
    param: 'after',
  });
}
