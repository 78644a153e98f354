/** What a batch cost: told by its document or added up from its results, and written once for each of its models. */
import type { Key, Target } from '../../config/snapshot.ts';
import { targetsOf } from '../../config/targets.ts';
import type { JsonObject } from '../../core/json.ts';
import { chargeShare, type NanoUsd, priceOfMany } from '../../core/money.ts';
import type { KeptObject, Maker } from '../../core/objects.ts';
import type { Dispatched, Settled } from '../../core/record.ts';
import { sumUsage, type Usage } from '../../core/usage.ts';
import type { BatchCollection, Used } from '../../dialects/objects/surface.ts';
import type { Gateway } from '../gateway.ts';
import { namesOf } from '../names.ts';
import { type Buyer, heldFor, soldFor } from '../sold.ts';
import { linesOf, nobody, parseDocument, run, wholeProvider } from './errand.ts';
import { type Located, locate } from './object-places.ts';

/** The largest line of results: an answer. */
const maxLineBytes = 64 * 1024 * 1024;

/** What requests to one model used. */
interface Bill {
  target: Target;
  usage: Usage;
  /** Undefined: no price is known. */
  nanoUsd: NanoUsd | undefined;
  /** Long requests may have cost more than that. */
  rough: boolean;
}

/**
 * Writes a batch into the journal: one attempt for each model, under the id of the call that made it, so that the store
 * takes it once however often it is written. @throws GatewayError when its results cannot be read.
 */
export async function chargeBatch(object: KeptObject, document: JsonObject, gateway: Gateway): Promise<void> {
  const located = locate(object, gateway.snapshot());
  const bills = await billsOf(document, located, gateway);
  const key = gateway.keyring.find(object.maker.keyId) ?? formerKey(object.maker);
  bills.forEach((bill, i) => {
    const { nanoUsd = 0, sellNanoUsd = nanoUsd } = write(bill, i, bills.length, object, key, gateway);
    const { input, output } = bill.usage;
    const limits = gateway.limiter.limitsOf(gateway.snapshot(), key, object.maker.endUser);
    gateway.limiter.book(limits, { tokens: input + output, nanoUsd: sellNanoUsd }, Date.now());
  });
}

async function billsOf(document: JsonObject, located: Located, gateway: Gateway): Promise<Bill[]> {
  const collection = located.collection as BatchCollection;
  const bills = new Map<string, Bill>();
  const add = ({ model, usage }: Used, together: boolean): void => {
    const target = targetOf(model, located, gateway);
    const price = target.price && together ? priceOfMany(target.price) : target.price;
    const nanoUsd = chargeShare(usage, price, target.provider.batchShare ?? 1);
    const before = bills.get(model);
    bills.set(model, {
      target,
      usage: before === undefined ? usage : sumUsage([before.usage, usage]),
      nanoUsd: before === undefined ? nanoUsd : plus(before.nanoUsd, nanoUsd),
      rough: together && target.price !== undefined && target.price.tiers.length > 0,
    });
  };
  const all = collection.usedBy(document);
  if (all !== undefined) add(all, true);
  else {
    const path = collection.resultsOf(document);
    if (path === undefined) return [];
    const ran = await run({ method: 'GET', headers: {}, body: undefined }, path, located, gateway, nobody);
    for await (const line of linesOf(ran, maxLineBytes)) {
      const used = collection.usedIn(parseDocument(line));
      if (used !== undefined) add(used, false);
    }
  }
  return [...bills.values()];
}

function targetOf(model: string, { provider }: Located, gateway: Gateway): Target {
  const id = `${provider.name}/${model}`;
  const route = gateway.snapshot().resolve(id);
  const target = route && targetsOf(route).find((each) => each.id === id);
  return target ?? { ...wholeProvider(provider), id, model };
}

function plus(one: NanoUsd | undefined, other: NanoUsd | undefined): NanoUsd | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

function write(
  { target, usage, nanoUsd, rough }: Bill,
  at: number,
  count: number,
  { maker }: KeptObject,
  key: Key,
  { journal, observer, snapshot }: Gateway,
): Settled {
  const share = target.provider.batchShare;
  const buyer: Buyer = { snapshot: snapshot(), key };
  const sold = nanoUsd === undefined ? heldFor(usage, target, buyer) : soldFor(nanoUsd, buyer);
  const now = Date.now();
  const dispatch: Dispatched = {
    call: maker.call,
    attempt: at + 1,
    at: now,
    names: namesOf(key, target, target.id, maker.tags, 'batch'),
    stream: false,
    session: maker.session,
    endUser: maker.endUser,
    // If the process ended between these two lines, this is what would be charged.
    reservedNanoUsd: nanoUsd ?? 0,
    ...(sold !== (nanoUsd ?? 0) && { reservedSellNanoUsd: sold }),
  };
  const record: Settled = {
    call: maker.call,
    attempt: at + 1,
    at: now,
    final: at === count - 1,
    outcome: 'ok',
    upstreamStatus: 200,
    clientStatus: at === count - 1 ? 200 : 0,
    firstByteMs: undefined,
    // Nobody waited for it.
    durationMs: 0,
    usage,
    estimated: rough || (share === undefined && nanoUsd !== undefined && nanoUsd > 0),
    nanoUsd,
    ...(sold !== (nanoUsd ?? 0) && { sellNanoUsd: sold }),
    lost: [],
  };
  journal.dispatched(dispatch);
  journal.settled(dispatch, record);
  observer.attemptSettled(dispatch, record);
  return record;
}

/** The key may be gone by now; what it did is not. */
function formerKey({ keyId, key, team, organisation }: Maker): Key {
  return {
    id: keyId,
    name: key,
    team,
    organisation,
    limits: [],
    expiresAt: undefined,
    disabled: true,
  };
}
