/** Calls at other prices than they were recorded with: rows, sums and the audit log say the same, and no run changes anything twice. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chargesBy } from '../../src/cli/reprice.ts';
import type { Config } from '../../src/config/schema.ts';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { type RepriceQuery, reprice } from '../../src/store/reprice.ts';
import { spentSince } from '../../src/store/spent.ts';
import { dispatch, noon, settle } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';
import { mistakesInBooks } from './books.ts';
import { recordedAttempts } from './recorded-attempts.ts';

const hourMs = 3_600_000;
const config: Pick<Config, 'providers' | 'prices' | 'organisations'> = {
  providers: undefined,
  prices: { 'acme/odd': { input: 1, output: 2 }, 'acme/one': { input: 3, output: 3 } },
  organisations: { dear: { limits: [], pricing: { markup: 200_000 } } } as never,
};

describe.each(stores)('on $name', ({ newDir }) => {
  let store: Store;

  const run = (more: Partial<RepriceQuery> & { target?: string; model?: string } = {}) => {
    const { target, model, all = false, ...rest } = more;
    const wanted = { all, ...(target && { target }), ...(model && { model }) };
    const query = { since: 0, until: noon + 100 * hourMs, all, dryRun: false, ...rest };
    return reprice(store.db, { ...query, charge: chargesBy(config, wanted) });
  };
  const rows = () => recordedAttempts(store);
  const sums = () =>
    store.db
      .selectFrom('rollups')
      .select((eb) =>
        (['calls', 'attempts', 'unpriced', 'input', 'output', 'nano_usd', 'sell_nano_usd'] as const).map(
          (name) => eb.fn.sum<number>(name).as(name),
        ),
      )
      .executeTakeFirstOrThrow();
  const audit = () => store.db.selectFrom('audit').selectAll().execute();

  beforeEach(async () => {
    const dir = await newDir();
    store = await openStore(dir, storeUrl(dir));
    const unpriced = (call: string, at: number, organisation: string, held?: number) => {
      const begun = dispatch(call, { at, organisation, target: 'acme/odd', model: 'odd', priceSource: '' });
      const settled = settle(begun, { nanoUsd: undefined, sellNanoUsd: held }, { input: 1000, output: 100 });
      return { dispatch: begun, settled };
    };
    const priced = dispatch('d', { target: 'acme/one', model: 'one' });
    const nobody = dispatch('e', { target: 'acme/none', model: 'none', priceSource: '' });
    const idle = dispatch('f', { target: 'acme/odd', model: 'odd', priceSource: '' });
    const cut = dispatch('g', { target: 'acme/one', model: 'one' });
    await createRecorder(store.db, 'node').record(
      [
        unpriced('a', noon, 'shop'),
        unpriced('b', noon, 'dear', 5_000_000),
        unpriced('c', noon + 3 * hourMs, 'shop'),
        { dispatch: priced, settled: settle(priced, { nanoUsd: 7 }, { input: 10, output: 10 }) },
        { dispatch: nobody, settled: settle(nobody, { nanoUsd: undefined }, { input: 1 }) },
        { dispatch: idle, settled: settle(idle, { nanoUsd: 0, outcome: 'upstream_timeout' }) },
        { dispatch: cut, settled: settle(cut, { nanoUsd: 99, outcome: 'interrupted', estimated: true }) },
      ],
      '1:1',
    );
  });

  afterEach(async () => {
    expect(await mistakesInBooks(store.db)).toEqual([]);
    await store.close();
  });

  test('what had no price gets one, with its version; sums follow', async () => {
    expect(await sums()).toMatchObject({ attempts: 7, unpriced: 4, nano_usd: 106, sell_nano_usd: 5_000_106 });
    expect(await run()).toEqual([
      {
        target: 'acme/odd',
        attempts: 3,
        unpriced_before: 3,
        usd_before: '0',
        usd_after: '0.0036',
        sell_usd_before: '0.005',
        sell_usd_after: '0.00384',
      },
    ]);
    expect(await rows()).toMatchObject([
      { call: 'a', nano_usd: 1_200_000, sell_nano_usd: null, price_source: 'config' },
      { call: 'b', nano_usd: 1_200_000, sell_nano_usd: 1_440_000, price_source: 'config' },
      { call: 'c', nano_usd: 1_200_000, sell_nano_usd: null, price_source: 'config' },
      { call: 'd', nano_usd: 7, price_source: 'test' },
      { call: 'e', nano_usd: null, price_source: '' },
      { call: 'f', nano_usd: 0 },
      { call: 'g', nano_usd: 99 },
    ]);
    const { price_version: version } = (await rows())[0]!;
    expect(version).toMatch(/^[0-9a-f]{12}$/);
    expect(await store.db.selectFrom('prices').select(['version', 'source']).execute()).toEqual([
      { version, source: 'config' },
    ]);
    expect(await sums()).toMatchObject({
      calls: 7,
      attempts: 7,
      unpriced: 1,
      input: 3011,
      output: 310,
      nano_usd: 3_600_106,
      sell_nano_usd: 3_840_106,
    });
    const spent = await spentSince(store.db, 'keys', { since: noon - (noon % hourMs) });
    expect(spent.find(({ organisation }) => organisation === 'dear')?.nanoUsd).toBe(1_440_000);
  });

  test('the audit log has one line of it; a second run finds nothing to change', async () => {
    await run();
    const before = [await rows(), await sums(), await store.db.selectFrom('rollups').selectAll().execute()];
    expect(await audit()).toMatchObject([
      {
        actor: 'cli',
        action: 'reprice',
        subject: 'calls',
        before: '{"attempts":3,"unpriced":3,"usd":"0","sell_usd":"0.005"}',
        after: '{"attempts":3,"unpriced":0,"usd":"0.0036","sell_usd":"0.00384"}',
      },
    ]);
    expect(await run()).toEqual([]);
    expect([await rows(), await sums(), await store.db.selectFrom('rollups').selectAll().execute()]).toEqual(
      before,
    );
    expect(await audit()).toHaveLength(1);
  });

  test('all: what has a price, too, but not what was interrupted; idempotent as well', async () => {
    await run({ all: true });
    expect((await rows()).map(({ call, nano_usd }) => [call, nano_usd])).toEqual([
      ['a', 1_200_000],
      ['b', 1_200_000],
      ['c', 1_200_000],
      ['d', 60_000],
      ['e', null],
      ['f', 0],
      ['g', 99],
    ]);
    expect(await run({ all: true })).toEqual([]);
  });

  test('a dry run says the same and changes nothing; times and names choose', async () => {
    const before = [await rows(), await sums()];
    expect(await run({ dryRun: true })).toMatchObject([{ target: 'acme/odd', attempts: 3 }]);
    expect([await rows(), await sums()]).toEqual(before);
    expect(await audit()).toEqual([]);
    expect(await run({ target: 'acme/o*', dryRun: true })).toMatchObject([{ attempts: 3 }]);
    expect(await run({ target: 'acme/o', dryRun: true })).toEqual([]);
    expect(await run({ model: 'one', dryRun: true })).toEqual([]);
    expect(await run({ since: noon + hourMs })).toMatchObject([{ attempts: 1 }]);
    expect(await run({ until: noon + hourMs })).toMatchObject([{ attempts: 2 }]);
    expect(await sums()).toMatchObject({ unpriced: 1 });
  });

  test('two runs at once that change only what is charged: once', async () => {
    await run({ all: true });
    const dearer = {
      ...config,
      organisations: { dear: { limits: [], pricing: { markup: 500_000 } } } as never,
    };
    const query = { since: 0, until: noon + 100 * hourMs, all: true, dryRun: false };
    const again = () => reprice(store.db, { ...query, charge: chargesBy(dearer, { all: true }) });
    const told = await Promise.all([again(), again()]);
    expect(told.flat().reduce((sum, { attempts }) => sum + attempts, 0)).toBe(1);
    expect(await rows()).toMatchObject([{}, { call: 'b', sell_nano_usd: 1_800_000 }, {}, {}, {}, {}, {}]);
    expect(await mistakesInBooks(store.db)).toEqual([]);
  });

  test('in many batches, while others record', async () => {
    const recorder = createRecorder(store.db, 'other');
    const some = (from: number) =>
      Array.from({ length: 600 }, (_, i) => {
        const begun = dispatch(`m${from + i}`, {
          at: noon,
          target: 'acme/odd',
          model: 'odd',
          priceSource: '',
        });
        return { dispatch: begun, settled: settle(begun, { nanoUsd: undefined }, { input: 2 }) };
      });
    await recorder.record(some(0), '1:2');
    await recorder.record(some(600), '1:3');
    await Promise.all([run(), run(), recorder.record(some(1200), '1:4')]);
    await run();
    expect(await sums()).toMatchObject({ attempts: 1807, unpriced: 1, nano_usd: 3_600_106 + 1800 * 2000 });
    const { nano } = await store.db
      .selectFrom('attempts')
      .select((eb) => eb.fn.sum<number>('nano_usd').as('nano'))
      .executeTakeFirstOrThrow();
    expect(Number(nano)).toBe(3_600_106 + 1800 * 2000);
  }, 60_000);
});
