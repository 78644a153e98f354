/** What was used, by every dimension; and what limits have used up. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { createRecorder } from '../../src/store/attempts.ts';
import type { SeriesFilter } from '../../src/store/filter.ts';
import { createKey } from '../../src/store/keys.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { spentSince } from '../../src/store/spent.ts';
import { queryUsage, totalUsage } from '../../src/store/usage.ts';
import { dispatch, noon, settle } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const hourMs = 3_600_000;
describe.each(stores)('on $name', ({ newDir }) => {
  let store: Store;
  let keyId = '';

  beforeAll(async () => {
    const dir = await newDir();
    store = await openStore(dir, storeUrl(dir));
    keyId = (await store.db.transaction().execute((trx) => createKey(trx, 'laptop'))).key.id;
    const failed = dispatch('c1', { key: keyId, team: 'web', tags: 'app=chat,env=prod' });
    const second = {
      ...failed,
      attempt: 2,
      names: { ...failed.names, target: 'other/two', provider: 'other' },
    };
    const later = dispatch('c2', {
      key: 'ci',
      team: 'ops',
      model: 'smart',
      tags: 'app=chat',
      at: noon + 24 * hourMs,
    });
    const free = dispatch('c3', {
      key: 'ci',
      team: 'ops',
      model: 'odd',
      target: 'acme/odd',
      at: noon + 48 * hourMs,
    });
    const attempts = [
      { dispatch: failed, settled: settle(failed, { final: false, outcome: 'upstream_timeout' as const }) },
      {
        dispatch: second,
        settled: settle(second, { nanoUsd: 1_500_000_001 }, { input: 100, cacheRead: 60, output: 7 }),
      },
      { dispatch: later, settled: settle(later, { nanoUsd: 2, estimated: true }, { input: 5, output: 3 }) },
      { dispatch: free, settled: settle(free, { nanoUsd: undefined }, { input: 4 }) },
    ];
    await createRecorder(store.db, 'node').record(attempts, '1:1');
  });

  const zero = {
    calls: 0,
    attempts: 0,
    unpriced: 0,
    estimated: 0,
    input_tokens: 0,
    cached_tokens: 0,
    output_tokens: 0,
  };

  describe('usage', () => {
    test('by model: attempts of one call are summed, money is exact, unpriced ones are counted', async () => {
      expect(await queryUsage(store.db, { by: 'model' })).toEqual([
        {
          ...zero,
          model: 'fast',
          calls: 1,
          attempts: 2,
          input_tokens: 100,
          cached_tokens: 60,
          output_tokens: 7,
          usd: '1.500000001',
          sell_usd: '1.500000001',
        },
        {
          ...zero,
          model: 'smart',
          calls: 1,
          attempts: 1,
          estimated: 1,
          input_tokens: 5,
          output_tokens: 3,
          usd: '0.000000002',
          sell_usd: '0.000000002',
        },
        {
          ...zero,
          model: 'odd',
          calls: 1,
          attempts: 1,
          unpriced: 1,
          input_tokens: 4,
          usd: '0',
          sell_usd: '0',
        },
      ]);
    });

    const expected = {
      key: { laptop: '1.500000001', ci: '0.000000002' },
      team: { web: '1.500000001', ops: '0.000000002' },
      provider: { other: '1.500000001', acme: '0.000000002' },
      target: { 'other/two': '1.500000001', 'acme/one': '0.000000002', 'acme/odd': '0' },
      organisation: { shop: '1.500000003' },
      tag: { 'app=chat': '1.500000003', 'env=prod': '1.500000001' },
      day: { '2030-01-15': '1.500000001', '2030-01-16': '0.000000002', '2030-01-17': '0' },
    } as const;
    for (const [by, usd] of Object.entries(expected) as [keyof typeof expected, Record<string, string>][]) {
      test(`by ${by}`, async () => {
        const rows = await queryUsage(store.db, { by });
        expect(rows.map((row) => [row[by]!, row.usd])).toEqual(Object.entries(usd));
      });
    }

    test('since and until cut at whole hours', async () => {
      const days = async (since?: number, until?: number) =>
        (await queryUsage(store.db, { by: 'day', since, until })).map((row) => row.day);
      expect(await days(noon + hourMs)).toEqual(['2030-01-16', '2030-01-17']);
      expect(await days(undefined, Date.UTC(2030, 0, 16))).toEqual(['2030-01-15']);
      expect(await days(noon + 24 * hourMs, noon + 25 * hourMs)).toEqual(['2030-01-16']);
    });

    test('by several: time first, then what costs most', async () => {
      const rows = await queryUsage(store.db, { by: ['day', 'model', 'key_id'] });
      expect(rows.map(({ day, model, key_id, calls, usd }) => [day, model, key_id, calls, usd])).toEqual([
        ['2030-01-15', 'fast', keyId, 1, '1.500000001'],
        ['2030-01-16', 'smart', 'ci', 1, '0.000000002'],
        ['2030-01-17', 'odd', 'ci', 1, '0'],
      ]);
    });

    test('by hour and by month', async () => {
      const hours = await queryUsage(store.db, { by: 'hour' });
      expect(hours.map(({ hour }) => hour)).toEqual([
        '2030-01-15T10:00Z',
        '2030-01-16T10:00Z',
        '2030-01-17T10:00Z',
      ]);
      const months = await queryUsage(store.db, { by: ['month'] });
      expect(months).toMatchObject([{ month: '2030-01', calls: 3, attempts: 4, usd: '1.500000003' }]);
    });

    test('by nothing: one row of all', async () => {
      expect(await queryUsage(store.db, { by: [] })).toMatchObject([{ calls: 3, attempts: 4 }]);
    });

    const filters: [SeriesFilter, models: string[]][] = [
      [{}, ['fast', 'smart', 'odd']],
      [{ team: ['ops'] }, ['smart', 'odd']],
      [{ team: ['ops'], model: ['odd', 'fast'] }, ['odd']],
      [{ team: [] }, []],
      [{ tags: ['app=chat'] }, ['fast', 'smart']],
      [{ tags: ['app=chat', 'env=prod'] }, ['fast']],
      [{ tags: ['app=cha'] }, []],
      [{ tags: ['APP=chat'] }, []],
      [{ tags: ['app=chat,env=prod'] }, []],
      [{ tags: ['%'] }, []],
      [{ tags: [''] }, []],
      [{ model: ['%'] }, []],
      [{ model: ['f_st'] }, []],
      [{ key: ["' or 1=1 --"] }, []],
      [{ key: ['ci\0'] }, []],
    ];
    for (const [filter, models] of filters) {
      test(`of ${JSON.stringify(filter)} only`, async () => {
        const rows = await queryUsage(store.db, { by: 'model', filter });
        expect(rows.map(({ model }) => model!).sort()).toEqual([...models].sort());
      });
    }

    test('the total is the sum, also beyond what a number holds exactly', () => {
      const row = { ...zero, calls: 1, usd: '9007199.254740993', sell_usd: '9007199.254740993' };
      expect(totalUsage([row, row])).toEqual({
        ...zero,
        calls: 2,
        usd: '18014398.509481986',
        sell_usd: '18014398.509481986',
      });
    });
  });

  describe('what limits have used up', () => {
    const shop = { organisation: 'shop', untilMs: Infinity };
    test('from whole hours and from the attempts themselves it is the same', async () => {
      const [hour, moment] = [noon - 30 * 60_000, noon + 500];
      const byKey = async (since: number) =>
        (await spentSince(store.db, 'keys', { since: since })).sort((a, b) => b.nanoUsd - a.nanoUsd);
      const all = await byKey(hour);
      expect(all).toEqual([
        { key: keyId, ...shop, team: 'web', calls: 1, tokens: 107, nanoUsd: 1_500_000_001 },
        { key: 'ci', ...shop, team: 'ops', calls: 2, tokens: 12, nanoUsd: 2 },
      ]);
      expect(await byKey(moment)).toEqual(all);
    });

    test('told part by part, and until a moment, it is the same in all', async () => {
      const sum = async (stretch: Parameters<typeof spentSince>[2]) => {
        const rows = await spentSince(store.db, 'keys', stretch);
        return rows.reduce((all, { nanoUsd, tokens, calls }) => all + nanoUsd + tokens + calls, 0);
      };
      const all = await sum({ since: -Infinity });
      expect(all).toBeGreaterThan(0);
      for (const partMs of [1000, 60_000, hourMs]) expect(await sum({ since: 0, partMs })).toBe(all);
      for (const cut of [noon + 500, noon + hourMs, noon + 48 * hourMs + 1]) {
        const [before, after] = [await sum({ since: 0, until: cut }), await sum({ since: cut })];
        expect(before + after).toBe(all);
      }
    });

    test('what ended before does not count', async () => {
      expect(await spentSince(store.db, 'keys', { since: noon + 48 * hourMs + 1 })).toEqual([
        { key: 'ci', ...shop, team: 'ops', calls: 1, tokens: 4, nanoUsd: 0 },
      ]);
      expect(await spentSince(store.db, 'keys', { since: noon + 48 * hourMs + 1001 })).toEqual([]);
    });
  });
});
