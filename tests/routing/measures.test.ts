/** What is learned of targets from their attempts, and how soon it is forgotten. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Target } from '../../src/config/snapshot.ts';
import { longCacheLifeMs } from '../../src/routing/measures/conversations.ts';
import type { Ended } from '../../src/routing/measures/target-measures.ts';
import { Measures } from '../../src/routing/measures.ts';
import { key, makeTarget } from './targets.ts';

const second = 1000;
const minute = 60 * second;
const start = Date.UTC(2026, 0, 15);
const a = makeTarget('a');
const b = makeTarget('b');
const other = { ...key, id: 'key_other' };

const answered: Ended = {
  outcome: 'ok',
  firstByteMs: 100,
  firstTold: false,
  durationMs: 1100,
  restedMs: 0,
  stream: true,
  inputTokens: 2000,
  cachedTokens: 0,
  outputTokens: 50,
  returned: false,
};
const whole: Partial<Ended> = { stream: false, firstByteMs: 1100 };
const failed: Partial<Ended> = {
  outcome: 'upstream_overloaded',
  firstByteMs: undefined,
  durationMs: 5,
  outputTokens: 0,
};

/** Measures of attempts at `a` that ended at `atMs` after the start. */
function measuresOf(...ends: [atMs: number, end: Partial<Ended>][]): Measures {
  const measures = new Measures();
  for (const [atMs, end] of ends) {
    measures.began(a);
    measures.ended(a, key, { ...answered, ...end }, start + atMs);
  }
  return measures;
}

const times = (count: number, end: Partial<Ended>, atMs = 0): [number, Partial<Ended>][] =>
  Array.from({ length: count }, () => [atMs, end]);

describe('who answers at the moment', () => {
  test('has answered somebody, or begun to, within the last half minute', () => {
    const measures = measuresOf([0, whole]);
    expect([measures.answersAt(a, start + 30 * second), measures.answersAt(b, start)]).toEqual([true, false]);
    expect(measures.answersAt(a, start + 30 * second + 1)).toBe(false);
    measures.sawFirst(a, 100, start + minute);
    expect(measures.answersAt(a, start + minute)).toBe(true);
    expect(measuresOf([0, failed], [0, { outcome: 'cancelled' }]).answersAt(a, start)).toBe(false);
  });
});

describe('first tokens', () => {
  test('nothing is known of whom nobody asked', () => {
    const measures = new Measures();
    expect(measures.firstTokenMs(a, start)).toBeUndefined();
    expect(measures.tokensPerSecond(a, start)).toBeUndefined();
    expect(measures.lateFirstTokenMs(a, start)).toBeUndefined();
    expect(measures.outputTokens(a, key)).toBeUndefined();
    expect(measures.failureShare(a, start)).toBe(0);
    expect(measures.recentCalls(a, start)).toBe(0);
  });

  test('are a mean', () => {
    const measures = measuresOf([0, { firstByteMs: 100 }], [0, { firstByteMs: 300 }]);
    expect(measures.firstTokenMs(a, start)).toBe(200);
    expect(measures.firstTokenMs(b, start)).toBeUndefined();
  });

  test('of a minute ago count half', () => {
    const measures = measuresOf([0, { firstByteMs: 100 }], [minute, { firstByteMs: 400 }]);
    expect(measures.firstTokenMs(a, start + minute)).toBeCloseTo((0.5 * 100 + 400) / 1.5, 6);
  });

  test('are forgotten after ten minutes', () => {
    const measures = measuresOf([0, {}]);
    expect(measures.firstTokenMs(a, start + 9 * minute)).toBe(100);
    expect(measures.firstTokenMs(a, start + 10 * minute)).toBeUndefined();
    expect(measures.tokensPerSecond(a, start + 10 * minute)).toBeUndefined();
  });

  test('change with the next calls, however many there were in the same minute before', () => {
    const measures = measuresOf(...times(1000, { firstByteMs: 100 }), ...times(20, { firstByteMs: 1000 }));
    expect(measures.firstTokenMs(a, start)).toBeGreaterThan(800);
  });

  test('are known before their answers end, and counted once', () => {
    const measures = new Measures();
    measures.began(a);
    measures.sawFirst(a, 700, start);
    expect(measures.firstTokenMs(a, start)).toBe(700);
    measures.ended(a, key, { ...answered, firstByteMs: 700, firstTold: true }, start);
    measures.ended(a, key, { ...answered, firstByteMs: 100 }, start);
    expect(measures.firstTokenMs(a, start)).toBe(400);
  });

  test('of calls that were given up before came no sooner than that', () => {
    const gone: Partial<Ended> = { outcome: 'cancelled', firstByteMs: undefined };
    expect(measuresOf([0, {}], [0, { ...gone, durationMs: 50 }]).firstTokenMs(a, start)).toBe(100);
    expect(measuresOf([0, {}], [0, { ...gone, durationMs: 900 }]).firstTokenMs(a, start)).toBe(500);
  });

  test('survive clocks that are set back', () => {
    const measures = measuresOf([minute, { firstByteMs: 100 }], [0, { firstByteMs: 300 }]);
    expect(measures.firstTokenMs(a, start)).toBe(200);
  });
});

describe('tokens a second', () => {
  test('are those after the first', () => {
    expect(measuresOf([0, {}]).tokensPerSecond(a, start)).toBe(50);
  });

  test('are finite where all comes at once, and do not outweigh the others', () => {
    const measures = measuresOf(...times(3, {}), [0, { firstByteMs: 1100 }]);
    expect(measures.tokensPerSecond(a, start)).toBeCloseTo(200 / 3, 6);
    expect(measuresOf([0, { firstByteMs: 1100 }]).tokensPerSecond(a, start)).toBeLessThan(1e6);
  });

  test('are not learned from answers whose clients read slowly', () => {
    const slowly: Partial<Ended> = { durationMs: 60_100, restedMs: 59_500 };
    expect(measuresOf([0, {}], ...times(20, slowly)).tokensPerSecond(a, start)).toBe(50);
    expect(measuresOf([0, slowly]).tokensPerSecond(a, start)).toBeUndefined();
    // A moment changes nothing.
    expect(measuresOf([0, { restedMs: 20 }]).tokensPerSecond(a, start)).toBe(50);
  });

  test('of whole answers are those of the time after the usual first token', () => {
    expect(measuresOf([0, {}], [0, whole]).tokensPerSecond(a, start)).toBe(50);
  });

  test('of whole answers alone are those of all their time, and first tokens nobody has seen', () => {
    const measures = measuresOf([0, whole]);
    expect(measures.firstTokenMs(a, start)).toBeUndefined();
    expect(measures.tokensPerSecond(a, start)).toBeCloseTo(50 / 1.1, 6);
  });

  test('are none where an answer is not made of tokens: then its time is what is learned', () => {
    const measures = measuresOf([0, { ...whole, outputTokens: 0, durationMs: 80 }]);
    expect(measures.firstTokenMs(a, start)).toBe(80);
    expect(measures.tokensPerSecond(a, start)).toBeUndefined();
    expect(measures.outputTokens(a, key)).toBeUndefined();
  });
});

describe('failures', () => {
  test('are a share of the attempts, and no first tokens', () => {
    const measures = measuresOf(...times(9, {}), ...times(10, failed));
    expect(measures.failureShare(a, start)).toBe(0.5);
    expect(measures.firstTokenMs(a, start)).toBe(100);
  });

  test('never leave nothing to hope for', () => {
    expect(measuresOf(...times(500, failed)).failureShare(a, start)).toBeLessThan(1);
  });

  test.each([
    'cancelled',
    'bad_request',
    'context_length',
    'upstream_content_filter',
    'interrupted',
  ] as const)('are not what nobody is to blame for: %s', (outcome) => {
    expect(measuresOf([0, {}], [0, { ...failed, outcome }]).failureShare(a, start)).toBe(0);
  });

  test.each(['upstream_bad_request', 'upstream_content_filter', 'context_length', 'unsupported'] as const)(
    'are refusals too, for as long as nothing was answered: %s',
    (outcome) => {
      expect(measuresOf([0, { ...failed, outcome }]).failureShare(a, start)).toBeGreaterThan(0);
      expect(measuresOf([0, { ...failed, outcome }], [0, {}]).failureShare(a, start)).toBe(0);
    },
  );

  test('are none where the client went away first', () => {
    expect(measuresOf(...times(9, { ...failed, outcome: 'cancelled' })).failureShare(a, start)).toBe(0);
  });

  test('are a share of models that are no more', () => {
    const gone = { ...failed, outcome: 'upstream_not_found' as const };
    expect(measuresOf(...times(9, {}), ...times(10, gone)).failureShare(a, start)).toBe(0.5);
  });

  test('are forgotten as answers come, and with time', () => {
    expect(measuresOf(...times(500, failed), ...times(100, {})).failureShare(a, start)).toBeLessThan(0.05);
    const measures = measuresOf(...times(20, failed), [5 * minute, {}]);
    expect(measures.failureShare(a, start + 5 * minute)).toBeLessThan(0.3);
    expect(measures.failureShare(a, start + 20 * minute)).toBe(0);
  });
});

describe('what is late', () => {
  const spread = (count: number, atMs = 0): [number, Partial<Ended>][] =>
    Array.from({ length: count }, (_, i) => [atMs, { firstByteMs: i + 1 }]);

  test('is unknown of fewer than twenty calls', () => {
    expect(measuresOf(...times(18, {})).lateFirstTokenMs(a, start)).toBeUndefined();
    expect(measuresOf(...times(25, {})).lateFirstTokenMs(a, start)).toBeDefined();
  });

  test('is what 95 of 100 stay below, and no more than a fifth above that', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 2, max: 600_000 }), { minLength: 40, maxLength: 400 }),
        (all) => {
          const measures = measuresOf(...all.map((ms): [number, Partial<Ended>] => [0, { firstByteMs: ms }]));
          const late = measures.lateFirstTokenMs(a, start)!;
          const sorted = [...all].sort((x, y) => x - y);
          // Later calls count for a little more, so that the rank is off by as much.
          const exact = (share: number) =>
            sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
          expect(late).toBeGreaterThanOrEqual(exact(0.93));
          expect(late).toBeLessThanOrEqual(exact(0.97) * 1.2);
        },
      ),
      { numRuns: 100, seed: 7 },
    );
  });

  test('is forgotten when nobody calls any more', () => {
    const measures = measuresOf(...spread(100));
    expect(measures.lateFirstTokenMs(a, start + minute)).toBeDefined();
    expect(measures.lateFirstTokenMs(a, start + 30 * minute)).toBeUndefined();
  });

  test('changes with time', () => {
    const measures = measuresOf(
      ...times(200, { firstByteMs: 100 }),
      ...times(40, { firstByteMs: 5000 }, 40 * minute),
    );
    expect(measures.lateFirstTokenMs(a, start + 40 * minute)).toBeGreaterThan(5000);
    const mended = measuresOf(...times(200, { firstByteMs: 5000 }), ...times(100, {}, 40 * minute));
    expect(mended.lateFirstTokenMs(a, start + 40 * minute)).toBeLessThan(130);
  });

  test('stays right over weeks of calls', () => {
    const weeks = Array.from({ length: 20_000 }, (_, i): [number, Partial<Ended>] => [
      i * minute,
      { firstByteMs: i % 10 === 0 ? 3000 : 100 },
    ]);
    const busy = Array.from({ length: 1000 }, (_, i): [number, Partial<Ended>] => [
      20_000 * minute + i * second,
      { firstByteMs: 200 },
    ]);
    const late = measuresOf(...weeks, ...busy).lateFirstTokenMs(a, start + 20_000 * minute + 1000 * second)!;
    expect(late).toBeGreaterThanOrEqual(200);
    expect(late).toBeLessThan(240);
  });

  test('is another thing for whole answers', () => {
    const measures = measuresOf(...times(30, {}), ...times(30, { ...whole, durationMs: 20_000 }));
    expect(measures.lateFirstTokenMs(a, start)).toBeLessThan(120);
    expect(measures.lateFirstTokenMs(a, start, false)).toBeGreaterThanOrEqual(20_000);
  });
});

describe('lengths of answers', () => {
  test('are those of a key at a target; of a key anywhere, where it is new to the target', () => {
    const measures = measuresOf([0, { outputTokens: 100 }], [0, { outputTokens: 300 }]);
    measures.ended(b, other, { ...answered, outputTokens: 9 }, start);
    expect(measures.outputTokens(a, key)).toBe(200);
    expect(measures.outputTokens(b, key)).toBe(200);
    expect(measures.outputTokens(a, other)).toBe(9);
  });

  test('follow the last fifty or so', () => {
    const measures = measuresOf(...times(1000, { outputTokens: 10 }), ...times(200, { outputTokens: 1000 }));
    expect(measures.outputTokens(a, key)).toBeGreaterThan(950);
  });

  test('are not those of answers that failed', () => {
    expect(measuresOf([0, {}], [0, { ...failed, outputTokens: 7000 }]).outputTokens(a, key)).toBe(50);
  });
});

describe('what a prompt cache knows', () => {
  test('is seen in conversations that return, with prompts that are long enough', () => {
    const measures = measuresOf(
      [0, { cachedTokens: 2000 }],
      [0, { returned: true, cachedTokens: 1500 }],
      [0, { returned: true, cachedTokens: 500 }],
      [0, { returned: true, inputTokens: 900, cachedTokens: 0 }],
    );
    expect(measures.cachedShare(a, key)).toBe(0.5);
    expect(measures.cachedShare(b, key)).toBeUndefined();
  });
});

describe('calls that are running', () => {
  test('are those that began and did not end', () => {
    const measures = new Measures();
    for (let i = 0; i < 3; i++) measures.began(a);
    expect(measures.inFlight(a)).toBe(3);
    measures.ended(a, key, answered, start);
    measures.ended(a, key, { ...answered, ...failed }, start);
    expect([measures.inFlight(a), measures.inFlight(b)]).toEqual([1, 0]);
  });

  test('are counted by name: a reload changes nothing', () => {
    const measures = new Measures();
    measures.began(a);
    measures.ended(makeTarget('a'), key, answered, start);
    expect(measures.inFlight(a)).toBe(0);
    expect(measures.firstTokenMs(makeTarget('a'), start)).toBe(100);
  });

  test('are never fewer than none', () => {
    const measures = new Measures();
    measures.ended(a, key, answered, start);
    expect(measures.inFlight(a)).toBe(0);
  });

  test('of late count half after a minute', () => {
    const measures = measuresOf(...times(8, {}));
    expect(measures.recentCalls(a, start)).toBe(8);
    expect(measures.recentCalls(a, start + minute)).toBeCloseTo(4, 6);
  });
});

describe('conversations', () => {
  test('are kept for ten minutes after each answer', () => {
    const measures = new Measures();
    measures.keep('c', a, start);
    measures.keep('c', a, start + 9 * minute);
    expect(measures.keptBy('c', start + 18 * minute)).toBe(a.id);
    expect(measures.keptBy('c', start + 19 * minute)).toBeUndefined();
    expect(measures.keptBy('d', start)).toBeUndefined();
  });

  test('are kept by who answered last', () => {
    const measures = new Measures();
    measures.keep('c', a, start);
    measures.keep('c', b, start);
    expect(measures.keptBy('c', start)).toBe(b.id);
  });

  test('are kept for an hour where a cache of an hour was written, for as long as they stay', () => {
    const measures = new Measures();
    measures.keep('c', a, start, longCacheLifeMs);
    measures.keep('c', a, start + 30 * minute);
    expect(measures.keptBy('c', start + 89 * minute)).toBe(a.id);
    measures.keep('c', b, start + 89 * minute);
    expect(measures.keptBy('c', start + 100 * minute)).toBeUndefined();
  });
});

describe('bounds', () => {
  test('of conversations: those answered longest ago make room', () => {
    const measures = new Measures();
    measures.keep('early', a, start);
    for (let i = 0; i < 250_000; i++) {
      measures.keep(`c${i}`, a, start);
      if (i % 10_000 === 0) measures.keep('again', b, start);
    }
    expect(measures.keptBy('early', start)).toBeUndefined();
    expect(measures.keptBy('again', start)).toBe(b.id);
    expect(measures.keptBy('c100000', start)).toBeUndefined();
    expect(measures.keptBy('c210000', start)).toBe(a.id);
  });

  test('of targets: names that nobody asks for again make room for others, not those in use', () => {
    const measures = new Measures();
    const ask = (target: Target) => {
      measures.began(target);
      measures.ended(target, key, answered, start);
    };
    const first = makeTarget('made up 0');
    for (let i = 0; i < 25_000; i++) {
      ask(makeTarget(`made up ${i}`));
      if (i % 100 === 0) ask(a);
    }
    expect(measures.firstTokenMs(a, start)).toBe(100);
    expect(measures.firstTokenMs(first, start)).toBeUndefined();
    expect(measures.firstTokenMs(makeTarget('made up 24999'), start)).toBe(100);
  });

  test('of targets: those with running calls are not forgotten for names that are made up', () => {
    const measures = new Measures();
    measures.began(a);
    for (let i = 0; i < 15_000; i++) {
      const target = makeTarget(`made up ${i}`);
      measures.began(target);
      measures.ended(target, key, answered, start);
    }
    expect(measures.inFlight(a)).toBe(1);
  });

  test('of keys: a new one has its place where there is no room for all', () => {
    const measures = new Measures();
    for (let i = 0; i < 25_000; i++)
      measures.ended(i % 2 === 0 ? a : b, { ...key, id: `k${i}` }, { ...answered, outputTokens: i }, start);
    expect(measures.outputTokens(b, { ...key, id: 'k24999' })).toBe(24_999);
    expect(measures.outputTokens(a, { ...key, id: 'k0' })).toBeUndefined();
  });
});
