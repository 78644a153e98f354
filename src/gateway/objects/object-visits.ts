/** What is done with a file or a batch by its id. */
import type { JsonObject } from '../../core/json.ts';
import type { KeptObject } from '../../core/objects.ts';
import type { Answer } from '../../wire/http/server/messages.ts';
import { parseDocument, readAll } from './errand.ts';
import { chargeLater, fetchDocument, isGone, observe } from './object-documents.ts';
import { type Located, pathOf } from './object-places.ts';
import type { Visit } from './object-visit.ts';

const plain = { headers: {}, body: undefined };

export function readObject(visit: Visit): Promise<Answer> {
  return askFor(visit, 'GET', '');
}

/** Something is done to it, and it is told what has become of it: a batch is cancelled. */
export function touchObject(visit: Visit, part: string): Promise<Answer> {
  return askFor(visit, 'POST', part);
}

async function askFor(visit: Visit, method: 'GET' | 'POST', part: string): Promise<Answer> {
  const object = await visit.find();
  const located = visit.locate(object);
  const errand = method === 'GET' ? { method, ...plain } : { method, headers: {}, body: '' };
  const ran = await orGone(visit, object, () => visit.run(errand, at(visit, object, located, part), located));
  const bytes = await readAll(ran);
  const document = parseDocument(bytes);
  await observe(object, document, visit.gateway);
  const relocated = visit.relocated(document);
  return visit.answer(relocated === document ? bytes : relocated, object.provider);
}

export async function readBytesOf(visit: Visit, part: string): Promise<Answer> {
  const object = await visit.find();
  const located = visit.locate(object);
  const ran = await visit.run({ method: 'GET', ...plain }, at(visit, object, located, part), located);
  // Whoever takes the results without having asked how the batch does pays for them, too.
  if (object.kind === 'batch' && !object.charged) void fetchDocument(object, visit.gateway).catch(() => {});
  return visit.answerBytes(ran, object.provider);
}

export async function removeObject(visit: Visit): Promise<Answer> {
  const object = await visit.find();
  const located = visit.locate(object);
  // What it cost stands in its results.
  if (object.kind === 'batch' && !object.charged) await chargeFirst(object, visit);
  const path = at(visit, object, located, '');
  const ran = await orGone(visit, object, () => visit.run({ method: 'DELETE', ...plain }, path, located));
  const bytes = await readAll(ran);
  await visit.gateway.objects.remove(object);
  return visit.answer(bytes.length === 0 ? {} : bytes, object.provider);
}

async function chargeFirst(object: KeptObject, { gateway }: Visit): Promise<void> {
  const document: JsonObject = await fetchDocument(object, gateway);
  if (object.final) await chargeLater(object, document, gateway);
}

function at(visit: Visit, object: KeptObject, { collection }: Located, part: string): string {
  return pathOf(object, collection) + part + visit.search;
}

/** What its provider knows no more, nobody has. */
async function orGone<T>(visit: Visit, object: KeptObject, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    if (isGone(thrown)) await visit.gateway.objects.remove(object);
    throw thrown;
  }
}
