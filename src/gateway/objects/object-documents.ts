/** What providers say of the files and batches they keep: asked for, and noted. */
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import type { KeptObject } from '../../core/objects.ts';
import { collectionOf } from '../../dialects/objects/index.ts';
import type { Gateway } from '../gateway.ts';
import { chargeBatch } from './batch-charge.ts';
import { type Errander, nobody, parseDocument, readAll, run } from './errand.ts';
import { madeNow } from './kept-objects.ts';
import { locate, pathOf } from './object-places.ts';

/** Asks for the document of an object, and notes it. @throws GatewayError */
export async function fetchDocument(
  object: KeptObject,
  gateway: Gateway,
  errander: Errander = nobody,
): Promise<JsonObject> {
  const located = locate(object, gateway.snapshot());
  const errand = { method: 'GET', headers: {}, body: undefined } as const;
  try {
    const ran = await run(errand, pathOf(object, located.collection), located, gateway, errander);
    const document = parseDocument(await readAll(ran));
    await observe(object, document, gateway);
    return document;
  } catch (thrown) {
    if (isGone(thrown)) await gateway.objects.remove(object);
    throw thrown;
  }
}

/** The provider knows it no more. */
export function isGone(thrown: unknown): boolean {
  return thrown instanceof GatewayError && thrown.kind.startsWith('upstream') && thrown.status === 404;
}

/** Notes what a provider has just said of an object, and of files that came with it; a batch that has ended is charged. */
export async function observe(object: KeptObject, document: JsonObject, gateway: Gateway): Promise<void> {
  const { objects } = gateway;
  const described = collectionOf(object.surface, object.kind)?.describe(document);
  if (described === undefined || described.id !== object.id) return;
  const text = JSON.stringify(document);
  if (text !== object.document) {
    for (const id of described.files ?? []) await objects.note(fileOf(object, id));
    object.document = text;
    object.final = described.final;
    object.expiresAt = described.expiresAt;
    await objects.update(object);
  }
  if (object.kind === 'batch' && object.final && !object.charged) void chargeLater(object, document, gateway);
}

/** A file that a batch has written. */
function fileOf(batch: KeptObject, id: string): KeptObject {
  return {
    ...batch,
    id,
    kind: 'file',
    createdAt: madeNow(),
    expiresAt: undefined,
    document: undefined,
    final: false,
    charged: false,
  };
}

/** Behind the client's back, who need not wait for it. Never rejects. */
export function chargeLater(object: KeptObject, document: JsonObject, gateway: Gateway): Promise<void> {
  const { objects, inflight } = gateway;
  return objects.charge(object, async () => {
    inflight.enter();
    try {
      await chargeBatch(object, document, gateway);
      object.charged = true;
      await objects.update(object);
    } finally {
      inflight.leave();
    }
  });
}

/** Charges batches that had ended when the last process did. */
export async function chargeLeftovers(gateway: Gateway): Promise<void> {
  const { objects, inflight } = gateway;
  inflight.enter();
  try {
    for (const object of await objects.uncharged()) {
      if (object.document !== undefined) await chargeLater(object, JSON.parse(object.document), gateway);
    }
  } catch (error) {
    objects.alarm('batches that have ended cannot be looked up', error);
  } finally {
    inflight.leave();
  }
}
