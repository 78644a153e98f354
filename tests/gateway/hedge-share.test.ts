/** The share of calls that may ask two: a bound, with a little saved up for bursts. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Hedge } from '../../src/config/route.ts';
import { bearsSecond, countCall, countSecond } from '../../src/gateway/hedge-share.ts';

const hedgeWith = (share: number): Hedge => ({ type: 'hedge', children: [], afterMs: 1, share });

/** How many of `calls` in a row, all late, get a second. */
function seconds(hedge: Hedge, calls: number): number {
  let count = 0;
  for (let i = 0; i < calls; i++) {
    countCall(hedge);
    if (!bearsSecond(hedge)) continue;
    countSecond(hedge);
    count++;
  }
  return count;
}

test.each([0.01, 0.05, 0.1, 0.3, 0.5, 1])('%p of the calls, exactly, where all are late', (share) => {
  expect(seconds(hedgeWith(share), 1000)).toBe(Math.round(1000 * share));
});

test('none where the share is 0', () => {
  expect(seconds(hedgeWith(0), 1000)).toBe(0);
});

test('what a hundred calls saved may be used in a burst, no more', () => {
  const hedge = hedgeWith(0.05);
  for (let i = 0; i < 10_000; i++) countCall(hedge);
  let burst = 0;
  for (; bearsSecond(hedge); burst++) countSecond(hedge);
  expect(burst).toBe(5);
});

test('two strategies know nothing of each other', () => {
  const [one, other] = [hedgeWith(1), hedgeWith(1)];
  countCall(one);
  expect([bearsSecond(one), bearsSecond(other)]).toEqual([true, false]);
});

test('never beyond the share of the calls so far, whenever they are late', () => {
  const lateness = fc.array(fc.boolean(), { minLength: 1, maxLength: 500 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, lateness, (of, calls) => {
      const hedge = hedgeWith(of);
      let count = 0;
      calls.forEach((late, i) => {
        countCall(hedge);
        if (late && bearsSecond(hedge)) {
          countSecond(hedge);
          count++;
        }
        expect(count).toBeLessThanOrEqual((i + 1) * of + 1e-6);
      });
    }),
    { numRuns: 200, seed: 7 },
  );
});
