/** From journal to store: every attempt exactly once, whatever happened in between. */
import { describe, expect, test } from 'bun:test';
import { appendFileSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredKey } from '../../src/core/tenants.ts';
import { type ApplierState, startApplier } from '../../src/ledger/applier.ts';
import { readNode } from '../../src/ledger/data-dir.ts';
import { followJournal } from '../../src/ledger/follow.ts';
import { openJournal } from '../../src/ledger/journal.ts';
import { applyLeftovers } from '../../src/ledger/leftovers.ts';
import { recover } from '../../src/ledger/recover.ts';
import { listSegments, segmentPath } from '../../src/ledger/segments.ts';
import { createKey, revokeKey } from '../../src/store/keys.ts';
import { openStore } from '../../src/store/open.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';
import { applyAll, dispatch, settle, stored, tempDir } from './attempts.ts';

/** A journal with `count` settled attempts of 1,000,001 nano-dollars and 10 tokens each. */
function journalOf(dataDir: string, count: number, segmentBytes = 1024 * 1024): void {
  const journal = openJournal(dataDir, { segment: { segmentBytes } });
  for (let i = 0; i < count; i++) {
    const begun = dispatch(`call${String(i).padStart(6, '0')}`, { model: `m${i % 3}` });
    journal.dispatched(begun);
    journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
  }
  journal.close();
}

async function setPosition(dataDir: string, value: string | undefined): Promise<void> {
  const store = await openStore(dataDir, storeUrl(dataDir));
  const name = `journal:${readNode(dataDir)}`;
  if (value === undefined) await store.db.deleteFrom('meta').where('name', '=', name).execute();
  else await store.db.updateTable('meta').set({ value }).where('name', '=', name).execute();
  await store.close();
}

async function expectStored(dataDir: string, count: number): Promise<void> {
  const { attempts, sums } = await stored(dataDir);
  expect(attempts).toHaveLength(count);
  expect(sums).toMatchObject({
    calls: count,
    attempts: count,
    input: count * 10,
    nanoUsd: count * 1_000_001,
  });
}

describe.each(stores)('on $name', ({ newDir, breakStore }) => {
  describe('applying', () => {
    test('stores rows, and sums to the nano-dollar', async () => {
      const dir = await newDir();
      journalOf(dir, 1000);
      await applyAll(dir);
      await expectStored(dir, 1000);
    });

    test('stores all there is to know about an attempt', async () => {
      const dir = await newDir();
      const journal = openJournal(dir);
      const begun = dispatch('c1', { attempt: 2, stream: true, session: 's', endUser: 'u' });
      const ended = settle(
        begun,
        {
          outcome: 'upstream_timeout',
          nanoUsd: undefined,
          estimated: true,
          lost: ['seed', 'tools[0].strict'],
        },
        {
          input: 9,
          cacheRead: 1,
          cacheWrite5m: 2,
          cacheWrite1h: 3,
          output: 8,
          reasoning: 4,
          audioInput: 1,
          audioOutput: 2,
        },
      );
      journal.settled(begun, ended);
      journal.close();
      await applyAll(dir);
      const { attempts, sums } = await stored(dir);
      expect(attempts).toEqual([
        {
          call: 'c1',
          attempt: 2,
          at: ended.at,
          key: 'ci',
          team: 'web',
          organisation: 'shop',
          model: 'fast',
          target: 'acme/one',
          provider: 'acme',
          tags: '',
          operation: 'chat',
          price_source: 'test',
          price_version: '',
          why: '',
          duration_ms: 1000,
          first_byte_ms: 120,
          session: 's',
          end_user: 'u',
          outcome: 'upstream_timeout',
          upstream_status: 200,
          client_status: 200,
          stream: 1,
          final: 1,
          estimated: 1,
          input: 9,
          cache_read: 1,
          cache_write_5m: 2,
          cache_write_1h: 3,
          output: 8,
          reasoning: 4,
          audio_input: 1,
          audio_output: 2,
          nano_usd: null,
          sell_nano_usd: null,
          lost: 'seed\ntools[0].strict',
          units: '',
        },
      ]);
      expect(sums).toMatchObject({ unpriced: 1, errors: 1, nanoUsd: 0 });
    });

    test('stores what was used beside tokens, and of which operation', async () => {
      const dir = await newDir();
      const journal = openJournal(dir);
      const begun = dispatch('c1', { operation: 'images' });
      const units = { image: 2, character: 30 };
      journal.dispatched(begun);
      journal.settled(begun, settle(begun, { nanoUsd: undefined }, { units, imageOutput: 4, output: 4 }));
      journal.close();
      await applyAll(dir);
      const { attempts, sums } = await stored(dir);
      expect(JSON.parse(attempts[0]!.units)).toEqual({ ...units, imageOutput: 4 });
      expect(sums).toMatchObject({ unpriced: 1 });
    });

    test('goes on where it was, across restarts', async () => {
      const dir = await newDir();
      const journal = openJournal(dir);
      for (let i = 0; i < 5; i++) {
        const begun = dispatch(`c${i}`);
        journal.dispatched(begun);
        journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
        await applyAll(dir);
      }
      journal.close();
      await expectStored(dir, 5);
    });

    test('is idempotent: a lost position, one too early, one in the middle of a line, one past the end', async () => {
      const dir = await newDir();
      journalOf(dir, 300);
      await applyAll(dir);
      const segment = listSegments(dir)[0]!;
      for (const position of [
        undefined,
        `${segment}:0`,
        `${segment}:5000`,
        `${segment}:999999999`,
        '77:3',
        `${segment + 1}:0`,
        'nonsense',
      ]) {
        await setPosition(dir, position);
        await applyAll(dir);
      }
      await expectStored(dir, 300);
    });

    test('lines known and new in one batch: only the new ones count', async () => {
      const dir = await newDir();
      journalOf(dir, 100);
      await applyAll(dir);
      await setPosition(dir, undefined);
      const segment = listSegments(dir)[0]!;
      const again = join(tempDir(), 'copy');
      copyFileSync(segmentPath(dir, segment), again);
      // All of them twice in one segment, and fifty more.
      appendFileSync(segmentPath(dir, segment), await Bun.file(again).bytes());
      const more = openJournal(dir);
      for (let i = 0; i < 50; i++) {
        const begun = dispatch(`more${i}`);
        more.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
      }
      more.close();
      await applyAll(dir);
      await expectStored(dir, 150);
    });

    test('a torn line is passed over and counted', async () => {
      const dir = await newDir();
      journalOf(dir, 3);
      appendFileSync(segmentPath(dir, listSegments(dir)[0]!), '["s","call9",1,170\n');
      const store = await openStore(dir, storeUrl(dir));
      const follower = await followJournal(dir, store);
      await follower.catchUp();
      expect(follower.unreadable()).toBe(1);
      expect(follower.position()).toEqual({ segment: listSegments(dir)[0]!, offset: expect.any(Number) });
      follower.close();
      await store.close();
      await expectStored(dir, 3);
    });

    test('applied segments are removed, but not while an attempt that began in them is open', async () => {
      const dir = await newDir();
      const journal = openJournal(dir, { segment: { segmentBytes: 2000 } });
      const long = dispatch('long');
      journal.dispatched(long);
      const fill = (prefix: string) => {
        for (let i = 0; i < 40; i++) {
          const begun = dispatch(`${prefix}${i}`);
          journal.dispatched(begun);
          journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
        }
      };
      fill('a');
      const store = await openStore(dir, storeUrl(dir));
      const follower = await followJournal(dir, store);
      const first = listSegments(dir)[0]!;
      await follower.catchUp();
      expect(listSegments(dir)[0]).toBe(first);
      journal.settled(long, settle(long, { nanoUsd: 1_000_001 }, { input: 10 }));
      fill('b');
      await follower.catchUp();
      expect(listSegments(dir)).toHaveLength(1);
      follower.close();
      await store.close();
      journal.close();
      await expectStored(dir, 81);
    });

    test('nor while one is open that began before the store was opened anew', async () => {
      const dir = await newDir();
      const journal = openJournal(dir, { segment: { segmentBytes: 2000 } });
      const long = dispatch('long', { reservedNanoUsd: 1_000_001 });
      journal.dispatched(long);
      const fill = (prefix: string) => {
        for (let i = 0; i < 40; i++) {
          const begun = dispatch(`${prefix}${i}`);
          journal.dispatched(begun);
          journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
        }
      };
      for (const prefix of ['a', 'b']) {
        fill(prefix);
        await applyAll(dir);
      }
      journal.close();
      // The process died while it ran.
      expect(await applyLeftovers(dir, storeUrl(dir))).toBe(true);
      const { attempts, sums } = await stored(dir);
      expect(attempts.find(({ call }) => call === 'long')).toMatchObject({
        outcome: 'interrupted',
        nano_usd: 1_000_001,
      });
      expect(sums).toMatchObject({ attempts: 81, nanoUsd: 81 * 1_000_001 });
    });

    test('when the store fails nothing is half-written, and the next try goes on', async () => {
      const dir = await newDir();
      journalOf(dir, 50);
      const store = await openStore(dir, storeUrl(dir));
      const follower = await followJournal(dir, store);
      await store.db.schema.alterTable('rollups').renameTo('away').execute();
      await expect(follower.catchUp()).rejects.toThrow('rollups');
      await store.db.schema.alterTable('away').renameTo('rollups').execute();
      expect(await store.db.selectFrom('attempts').selectAll().execute()).toHaveLength(0);
      await follower.catchUp();
      follower.close();
      await store.close();
      await expectStored(dir, 50);
    });
  });

  describe('plans', () => {
    const planOf = (call: string) => ({ call, at: 5, text: `{"of":"${call}"}` });

    async function storedPlans(dataDir: string) {
      const store = await openStore(dataDir, storeUrl(dataDir));
      try {
        return await store.db.selectFrom('plans').selectAll().orderBy('call').execute();
      } finally {
        await store.close();
      }
    }

    const rowsOf = (...calls: string[]) => calls.map((call) => ({ call, at: 5, plan: `{"of":"${call}"}` }));

    test('are stored once, however often they are read', async () => {
      const dir = await newDir();
      const journal = openJournal(dir);
      const calls = Array.from({ length: 70 }, (_, i) => `c${String(i).padStart(2, '0')}`);
      for (const call of calls) {
        journal.planned(planOf(call));
        const begun = dispatch(call);
        journal.dispatched(begun);
        journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
      }
      journal.close();
      await applyAll(dir);
      const segment = listSegments(dir)[0]!;
      for (const position of [undefined, `${segment}:0`, `${segment}:700`]) {
        await setPosition(dir, position);
        await applyAll(dir);
        expect(await storedPlans(dir)).toEqual(rowsOf(...calls));
        await expectStored(dir, calls.length);
      }
    });

    test('are stored before their calls have ended, and a torn one is passed over', async () => {
      const dir = await newDir();
      const journal = openJournal(dir);
      journal.planned(planOf('c1'));
      journal.dispatched(dispatch('c1'));
      journal.planned(planOf('c2'));
      journal.close();
      appendFileSync(segmentPath(dir, listSegments(dir)[0]!), '["p","c3",5,"{\\"of\\":[]\n');
      await applyAll(dir);
      expect(await storedPlans(dir)).toEqual(rowsOf('c1', 'c2'));
      const next = openJournal(dir);
      next.planned(planOf('c4'));
      next.close();
      await applyAll(dir);
      expect(await storedPlans(dir)).toEqual(rowsOf('c1', 'c2', 'c4'));
      expect((await stored(dir)).attempts).toEqual([]);
    });

    test('survive the death of the process, like the attempts that follow them', async () => {
      const dir = await newDir();
      const script = `
      import { openJournal } from ${JSON.stringify(join(import.meta.dir, '../../src/ledger/journal.ts'))};
      const journal = openJournal(${JSON.stringify(dir)});
      journal.planned(${JSON.stringify(planOf('c1'))});
      journal.dispatched(${JSON.stringify(dispatch('c1'))});
      process.kill(process.pid, 'SIGKILL');`;
      await Bun.spawn([process.execPath, '-e', script]).exited;
      expect(await applyLeftovers(dir, storeUrl(dir))).toBe(true);
      expect(await storedPlans(dir)).toEqual(rowsOf('c1'));
      expect((await stored(dir)).attempts).toMatchObject([{ call: 'c1', outcome: 'interrupted' }]);
    });

    test('are nowhere in the journals of older versions, which apply as they did', async () => {
      const dir = await newDir();
      journalOf(dir, 3);
      await applyAll(dir);
      expect(await storedPlans(dir)).toEqual([]);
      await expectStored(dir, 3);
    });
  });

  describe('recovery', () => {
    test('settles as interrupted what began and never ended, once', async () => {
      const dir = await newDir();
      journalOf(dir, 2);
      const before = openJournal(dir);
      before.dispatched(dispatch('open', { attempt: 1 }));
      before.dispatched(dispatch('open', { attempt: 2 }));
      before.close();
      // The line of its end was cut short by the crash: it never ended.
      appendFileSync(segmentPath(dir, listSegments(dir)[0]!), '["s","open",2,19000');

      for (const found of [2, 0]) {
        const journal = openJournal(dir);
        expect(recover(journal)).toBe(found);
        journal.close();
        await applyAll(dir);
      }
      const { attempts, sums } = await stored(dir);
      const interrupted = attempts.filter((row) => row.outcome === 'interrupted');
      expect(interrupted).toMatchObject([
        { call: 'open', attempt: 1, final: 0, estimated: 1, nano_usd: 0, client_status: 0 },
        { call: 'open', attempt: 2, final: 1, estimated: 1, nano_usd: 0, client_status: 0 },
      ]);
      expect(sums).toMatchObject({ attempts: 4, calls: 3, unpriced: 0 });
    });

    test('what was interrupted and has no price is unpriced, never free', async () => {
      const dir = await newDir();
      const before = openJournal(dir);
      before.dispatched(dispatch('open', { priceSource: '' }));
      before.close();
      expect(await applyLeftovers(dir, storeUrl(dir))).toBe(true);
      const { attempts, sums } = await stored(dir);
      expect(attempts).toMatchObject([{ call: 'open', outcome: 'interrupted', nano_usd: null }]);
      expect(sums).toMatchObject({ attempts: 1, unpriced: 1 });
    });

    test('leftovers are applied without a gateway, and left alone while one runs', async () => {
      const dir = await newDir();
      const running = openJournal(dir);
      running.dispatched(dispatch('open'));
      expect(await applyLeftovers(dir, storeUrl(dir))).toBe(false);
      running.close();
      expect(await applyLeftovers(dir, storeUrl(dir))).toBe(true);
      expect((await stored(dir)).attempts).toMatchObject([{ call: 'open', outcome: 'interrupted' }]);
    });
  });

  describe('the worker', () => {
    test('applies what was there and what comes, and tells of keys that another connection made', async () => {
      const dir = await newDir();
      journalOf(dir, 10);
      const journal = openJournal(dir);
      const told: StoredKey[][] = [];
      let heard = () => {};
      const applier = startApplier({
        dataDir: dir,
        store: storeUrl(dir),
        onTenants({ keys }) {
          told.push(keys);
          heard();
        },
      });
      await applier.ready;
      expect(told).toEqual([[]]);
      await expectStored(dir, 10);

      const begun = dispatch('later');
      journal.dispatched(begun);
      journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
      await applier.flushed();
      await expectStored(dir, 11);

      const other = await openStore(dir, storeUrl(dir));
      const next = () =>
        new Promise<void>((resolve) => {
          heard = resolve;
        });
      let change = next();
      const { key } = await other.db
        .transaction()
        .execute((trx) => createKey(trx, 'ci', { limits: [{ usd: 5, per: 'day' }] }));
      await change;
      expect(told.at(-1)).toEqual([key]);
      change = next();
      await other.db.transaction().execute((trx) => revokeKey(trx, 'ci'));
      await change;
      expect(told.at(-1)).toMatchObject([{ id: key.id, revokedAt: expect.any(Number) }]);
      await other.close();

      // What was not applied yet is applied by stop.
      const last = dispatch('last');
      journal.settled(last, settle(last, { nanoUsd: 1_000_001 }, { input: 10 }));
      await applier.stop();
      journal.close();
      await expectStored(dir, 12);
    });

    test('says that the store cannot be written, and goes on by itself when it can', async () => {
      const dir = await newDir();
      journalOf(dir, 3);
      const mend = await breakStore(dir);
      const states: ApplierState[] = [];
      const applier = startApplier({
        dataDir: dir,
        store: storeUrl(dir),
        onState: (state) => states.push(state),
      });
      try {
        while (states.length === 0) await Bun.sleep(5);
      } finally {
        await mend();
      }
      expect(states[0]).toMatchObject({
        ok: false,
        error: expect.stringMatching(/^The store cannot be written: [^\n]+\.$/),
      });
      await applier.ready;
      expect(states.at(-1)).toMatchObject({ ok: true, position: { segment: listSegments(dir)[0]! } });
      await applier.stop();
      await expectStored(dir, 3);
    });
  });
});
