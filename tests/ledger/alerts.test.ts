/** Whoever is to be told is told once, signed, and however long it takes. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Webhook as Verifier } from 'standardwebhooks';
import type { Alert, LimitAlert } from '../../src/core/alert.ts';
import { toMessage, type Webhook } from '../../src/core/webhook.ts';
import { AlertLoop, type Told } from '../../src/ledger/alert-loop.ts';
import { DeliveryError, sendWebhook } from '../../src/ledger/send-webhook.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { postgres } from '../servers.ts';
import { tempDir } from './attempts.ts';
import { type Receiver, secret, startReceiver } from './receiver.ts';

const start = Date.UTC(2030, 0, 15, 10, 30);

const crossed = (more: Partial<LimitAlert> = {}): LimitAlert => ({
  kind: 'limit',
  owner: 'team',
  name: 'web',
  organisation: 'shop',
  limit: '100 USD per month',
  unit: 'usd',
  window: '2030-01-01T00:00:00Z',
  threshold: 80,
  used: 80_500_000_000,
  max: 100_000_000_000,
  at: start,
  ...more,
});

let receiver: Receiver;
beforeEach(() => {
  receiver = startReceiver();
});
afterEach(() => receiver.stop());

const hook = (more: Partial<Webhook> = {}): Webhook => ({
  url: `${receiver.url}/hook`,
  secret,
  events: undefined,
  organisation: undefined,
  ...more,
});

describe('a message', () => {
  test('is signed so that the library of Standard Webhooks verifies it', async () => {
    await sendWebhook(hook(), toMessage(crossed()));
    const [{ id, headers, event }] = receiver.received as [Receiver['received'][0]];
    expect(id).toMatch(/^msg_[0-9a-f]{32}$/);
    expect(headers['content-type']).toBe('application/json');
    expect(event).toEqual({
      type: 'limit.threshold',
      timestamp: '2030-01-15T10:30:00.000Z',
      data: {
        owner: 'team',
        name: 'web',
        organisation: 'shop',
        limit: '100 USD per month',
        unit: 'usd',
        window: '2030-01-01T00:00:00Z',
        threshold: 80,
        used: '80.5',
        max: '100',
      },
    });
  });

  test('that was forged, changed or replayed is refused by it', async () => {
    await sendWebhook(hook(), toMessage(crossed()));
    const { text, headers } = receiver.received[0]!;
    const verifier = new Verifier(secret);
    expect(verifier.verify(text, headers)).toBeObject();
    const forged = new Verifier(`whsec_${Buffer.alloc(32, 8).toString('base64')}`);
    expect(() => forged.verify(text, headers)).toThrow('No matching signature');
    expect(() => verifier.verify(text.replace('80.5', '8.5'), headers)).toThrow('No matching signature');
    expect(() => verifier.verify(text, { ...headers, 'webhook-id': 'msg_other' })).toThrow(
      'No matching signature',
    );
    const later = String(Number(headers['webhook-timestamp']) + 60);
    expect(() => verifier.verify(text, { ...headers, 'webhook-timestamp': later })).toThrow(
      'No matching signature',
    );
    const old = new Date(Date.now() - 3_600_000);
    const replayed = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(old.getTime() / 1000)),
      'webhook-signature': verifier.sign('msg_1', old, text),
    };
    expect(() => verifier.verify(text, replayed)).toThrow('too old');
  });

  test('has the same id and body for the same event, and another id for another', () => {
    expect(toMessage(crossed())).toEqual(toMessage(crossed()));
    const ids = [
      crossed(),
      crossed({ threshold: 100 }),
      crossed({ window: '2030-02-01T00:00:00Z' }),
      crossed({ name: 'other' }),
      crossed({ kind: 'exhausted' }),
      { kind: 'store', reason: '', at: start } as Alert,
      { kind: 'store', reason: '', at: start + 3_600_000 } as Alert,
    ].map((alert) => toMessage(alert).id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each([
    [500, 'status 500', false],
    [302, 'status 302', false],
    [410, 'status 410', true],
  ])('answered %i was not delivered', async (status, message, gone) => {
    receiver.answer = () =>
      new Response(null, { status, headers: { location: `${receiver.url}/elsewhere` } });
    const failure = await sendWebhook(hook(), toMessage(crossed())).catch((error) => error);
    expect(failure).toBeInstanceOf(DeliveryError);
    expect(failure).toMatchObject({ message, gone });
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook']);
  });

  test('is delivered though the answer never ends', async () => {
    receiver.answer = () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            await Bun.sleep(1);
            controller.enqueue(new Uint8Array(65_536));
          },
        }),
      );
    await sendWebhook(hook(), toMessage(crossed()));
    expect(receiver.received).toHaveLength(1);
  });
});

describe.each(['sqlite', 'postgres'])('the outbox on %s', (kind) => {
  let dir: string;
  let url: string;
  let stores: Store[];
  let now: number;
  let told: Told[];
  beforeEach(async () => {
    dir = tempDir();
    url = kind === 'sqlite' ? 'sqlite' : await (await postgres()).createDatabase();
    stores = [];
    now = start;
    told = [];
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
  });

  /** A node, its clock `now`. */
  async function node(webhooks: readonly Webhook[] = [hook()]) {
    const store = await openStore(dir, url);
    stores.push(store);
    const place = { store: store as Store | undefined };
    const loop = new AlertLoop({
      db: () => place.store?.db,
      send: sendWebhook,
      onTold: (one) => told.push(one),
      now: () => now,
      random: () => 0.5,
    });
    loop.set(webhooks);
    return { loop, place };
  }

  const types = () => receiver.received.map(({ event }) => event.type);

  test('tells once what several nodes raise, again and again', async () => {
    const nodes = [await node(), await node(), await node()];
    for (let round = 0; round < 3; round++) {
      for (const { loop } of nodes) loop.raise(crossed());
      // On one thread, SQLite's locks would wait for themselves.
      if (kind === 'sqlite') for (const { loop } of nodes) await loop.step();
      else await Promise.all(nodes.map(({ loop }) => loop.step()));
      now += 60_001;
    }
    expect(types()).toEqual(['limit.threshold']);
    expect(told).toEqual([{ id: toMessage(crossed()).id, to: receiver.url }]);
  });

  test('tries again for more than a day, with the same id, and longer pauses', async () => {
    receiver.answer = () => new Response(null, { status: 503 });
    const { loop } = await node();
    loop.raise(crossed());
    const at: number[] = [];
    const end = start + 4 * 24 * 3_600_000;
    for (let seen = 0; now < end; now += 1000 * (now - start < 600_000 ? 1 : 60)) {
      await loop.step();
      if (receiver.received.length > seen) at.push(now - start);
      seen = receiver.received.length;
    }
    expect(at.slice(0, 4)).toEqual([0, 5000, 35_000, 155_000]);
    expect(at.at(-1)).toBeGreaterThan(2.5 * 24 * 3_600_000);
    expect(at.length).toBeLessThan(30);
    expect(new Set(receiver.received.map(({ id, text }) => id + text)).size).toBe(1);
    expect(told.at(-1)).toMatchObject({ error: 'status 503', givenUp: true });
  }, 60_000);

  test('is told after a restart what was not told before', async () => {
    receiver.answer = () => new Response(null, { status: 500 });
    const first = await node();
    first.loop.raise(crossed());
    await first.loop.step();
    receiver.answer = () => new Response();
    now += 6000;
    const second = await node();
    await second.loop.step();
    await first.loop.step();
    expect(receiver.received).toHaveLength(2);
    expect(told.map(({ error }) => error)).toEqual(['status 500', undefined]);
  });

  test('goes on with what a node took and died over', async () => {
    receiver.answer = () => new Promise(() => {});
    const first = await node();
    first.loop.raise(crossed());
    void first.loop.step();
    while (receiver.received.length === 0) await Bun.sleep(5);
    const second = await node();
    await second.loop.step();
    expect(receiver.received).toHaveLength(1);
    now += 60_001;
    receiver.answer = () => new Response();
    await second.loop.step();
    expect(receiver.received).toHaveLength(2);
    expect(receiver.received[1]!.id).toBe(receiver.received[0]!.id);
  });

  test('tells without a store, and does not tell again when there is one', async () => {
    const { loop, place } = await node();
    const { store } = place;
    place.store = undefined;
    loop.raise({ kind: 'store', reason: 'Gone.', at: now });
    await loop.step();
    expect(types()).toEqual(['store.unwritable']);
    now += 60_000;
    await loop.step();
    place.store = store;
    await loop.step();
    now += 100_000;
    await loop.step();
    expect(receiver.received).toHaveLength(1);
  });

  test('holds no more than it may while there is no store', async () => {
    const { loop, place } = await node([hook({ url: 'http://127.0.0.1:1/' })]);
    place.store = undefined;
    for (let i = 0; i < 1500; i++) loop.raise(crossed({ name: `team${i}` }));
    expect(loop.dropped).toBe(500);
  });

  test('each hears what it asks for, and of its organisation', async () => {
    const { loop } = await node([
      hook({ url: `${receiver.url}/all` }),
      hook({ url: `${receiver.url}/shop`, organisation: 'shop' }),
      hook({ url: `${receiver.url}/bank`, organisation: 'bank' }),
      hook({ url: `${receiver.url}/keys`, events: ['provider_key.refused'] }),
    ]);
    loop.raise(crossed());
    loop.raise({
      kind: 'key_refused',
      provider: 'openai',
      key: 'openai#1',
      reason: 'no',
      untilMs: Infinity,
      at: now,
    });
    await loop.step();
    expect(receiver.received.map(({ path, event }) => `${path} ${event.type}`).sort()).toEqual([
      '/all limit.threshold',
      '/all provider_key.refused',
      '/keys provider_key.refused',
      '/shop limit.threshold',
    ]);
  });

  test('one that is gone is not asked again; no secret is in the store', async () => {
    receiver.answer = () => new Response(null, { status: 410 });
    const { loop, place } = await node();
    loop.raise(crossed());
    await loop.step();
    now += 24 * 3_600_000;
    await loop.step();
    expect(told).toMatchObject([{ error: 'status 410', givenUp: true }]);
    const rows = await place.store!.db.selectFrom('alert_deliveries').selectAll().execute();
    expect(rows).toMatchObject([{ due_at: null, delivered_at: null, tries: 1, last_error: 'status 410' }]);
    expect(JSON.stringify(rows)).not.toContain(secret.slice(6));
  });

  test('forgets what is long past', async () => {
    const { loop, place } = await node();
    loop.raise(crossed());
    loop.raise(crossed({ window: 'lifetime' }));
    await loop.step();
    now += 70 * 24 * 3_600_000;
    await loop.step();
    const { db } = place.store!;
    expect(await db.selectFrom('alerts').select('window').execute()).toEqual([{ window: 'lifetime' }]);
  });
});
