/** How long calls took, read off histograms: within 5 % of the truth, added up over batches, hours and nodes. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { createRecorder } from '../../src/store/attempts.ts';
import { addBytes, addValue, countOf, emptyHistogram, quantile, toBytes } from '../../src/store/histogram.ts';
import { openStore } from '../../src/store/open.ts';
import { LatencyError, queryLatencies } from '../../src/store/percentiles.ts';
import { dispatch, noon, settle } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const values = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 300 });
const histogramOf = (list: readonly number[]) => {
  const histogram = emptyHistogram();
  for (const value of list) addValue(histogram, value);
  return histogram;
};

test('any share of the values is read within 5 %, or one millisecond', () => {
  fc.assert(
    fc.property(values, fc.constantFrom(0.01, 0.5, 0.9, 0.95, 0.99, 1), (list, q) => {
      const truth = list.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * list.length) - 1)]!;
      const read = quantile(histogramOf(list), q)!;
      expect(Math.abs(read - truth)).toBeLessThanOrEqual(Math.max(1, truth * 0.05));
    }),
  );
});

test('as bytes they are the same, and add up', () => {
  fc.assert(
    fc.property(values, values, (a, b) => {
      const sum = emptyHistogram();
      addBytes(sum, toBytes(histogramOf(a)));
      addBytes(sum, new Uint8Array(toBytes(histogramOf(b))));
      expect(sum).toEqual(histogramOf([...a, ...b]));
      expect(countOf(sum)).toBe(a.length + b.length);
    }),
  );
  const many = emptyHistogram();
  many[7] = 123_456_789_012;
  const again = emptyHistogram();
  addBytes(again, toBytes(many));
  expect(again).toEqual(many);
});

describe.each(stores)('on $name', ({ newDir }) => {
  test('by model, target, key and time; of what went well only; each attempt once', async () => {
    const dir = await newDir();
    const store = await openStore(dir, storeUrl(dir), { thread: 'beside' });
    const other = await openStore(dir, storeUrl(dir), { thread: 'beside' });
    const call = (name: string, durationMs: number, more = {}, settled = {}) => {
      const begun = dispatch(name, { stream: true, ...more });
      return { dispatch: begun, settled: settle(begun, { durationMs, firstByteMs: 100, ...settled }) };
    };
    const some = (from: number) =>
      Array.from({ length: 100 }, (_, i) => call(`c${from + i}`, 1000 + (from + i) * 10));
    // Two nodes add to the same hour at once; and one of them says something twice.
    await Promise.all([
      createRecorder(store.db, 'one').record(some(0), '1:1'),
      createRecorder(other.db, 'two').record(some(100), '1:1'),
    ]);
    await createRecorder(other.db, 'two').record(some(100), '1:1');
    await createRecorder(store.db, 'one').record(
      [
        call('failed', 1, {}, { outcome: 'upstream_timeout' }),
        call('whole', 5000, { model: 'smart', target: 'acme/two', key: 'other', stream: false }),
        call('later', 60_000, { at: noon + 3_600_000 }),
      ],
      '1:2',
    );

    const [fast, smart] = await queryLatencies(store.db, { by: ['model'] });
    expect(fast).toMatchObject({ model: 'fast', duration: { count: 201 }, first_byte: { count: 201 } });
    expect(Math.abs(fast!.duration!.p50 / 2000 - 1)).toBeLessThan(0.06);
    expect(Math.abs(fast!.duration!.p95 / 2900 - 1)).toBeLessThan(0.06);
    expect(Math.abs(fast!.first_byte!.p99 / 100 - 1)).toBeLessThan(0.06);
    expect(smart).toMatchObject({ model: 'smart', duration: { count: 1 }, first_byte: null });

    expect(await queryLatencies(store.db, { by: ['target', 'hour'] })).toMatchObject([
      { target: 'acme/one', hour: '2030-01-15T10:00Z', duration: { count: 200 } },
      { target: 'acme/one', hour: '2030-01-15T11:00Z', duration: { count: 1 } },
      { target: 'acme/two', hour: '2030-01-15T10:00Z', duration: { count: 1 } },
    ]);
    expect(await queryLatencies(store.db, { by: ['key'] })).toMatchObject([
      { key: 'ci', duration: { count: 201 } },
      { key: 'other', duration: { count: 1 } },
    ]);
    const day = { by: ['day'] as const, key: ['ci'], until: noon };
    expect(await queryLatencies(store.db, day)).toMatchObject([
      { day: '2030-01-15', duration: { count: 200 } },
    ]);
    expect(await queryLatencies(store.db, { by: [], model: ['%'] })).toEqual([]);
    expect(await queryLatencies(store.db, { by: [], model: [] })).toEqual([]);
    await expect(queryLatencies(store.db, { by: ['model'], key: ['ci'] })).rejects.toBeInstanceOf(
      LatencyError,
    );
    await other.close();
    await store.close();
  }, 30_000);

  test('thousands of hours are added up whole', async () => {
    const dir = await newDir();
    const store = await openStore(dir, storeUrl(dir), { thread: 'beside' });
    const calls = Array.from({ length: 3001 }, (_, i) => {
      const begun = dispatch(`c${i}`, { at: noon + i * 3_600_000 });
      return { dispatch: begun, settled: settle(begun) };
    });
    await createRecorder(store.db, 'one').record(calls, '1:1');
    expect(await queryLatencies(store.db, { by: ['model'] })).toMatchObject([{ duration: { count: 3001 } }]);
    const since = noon + 2800 * 3_600_000;
    expect(await queryLatencies(store.db, { by: [], since })).toMatchObject([{ duration: { count: 201 } }]);
    await store.close();
  });
});
