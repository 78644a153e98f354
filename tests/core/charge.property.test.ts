/** What a charge is, whatever was used and whatever it costs: exact, no part twice, none for nothing. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  charge,
  chargeKnown,
  chargeShare,
  type Price,
  priceOfMany,
  type Rates,
  sellPrice,
  withVersion,
  writePrice,
} from '../../src/core/money.ts';
import { emptyUsage, type Usage } from '../../src/core/usage.ts';

const rate = fc.integer({ min: 0, max: 100_000_000 });
const rates: fc.Arbitrary<Rates> = fc.record(
  {
    input: rate,
    cacheRead: rate,
    cacheWrite5m: rate,
    cacheWrite1h: rate,
    output: rate,
    audioInput: rate,
    audioOutput: rate,
    imageInput: rate,
    imageOutput: rate,
    reasoning: rate,
    cacheReadAudio: rate,
    cacheReadImage: rate,
  },
  {
    requiredKeys: [
      'input',
      'cacheRead',
      'cacheWrite5m',
      'cacheWrite1h',
      'output',
      'audioInput',
      'audioOutput',
    ],
  },
);

/** Parts fit their totals, as every dialect makes them. */
const usages: fc.Arbitrary<Usage> = fc
  .record({
    fresh: fc.nat(200_000),
    cacheRead: fc.nat(100_000),
    cacheWrite5m: fc.nat(50_000),
    cacheWrite1h: fc.nat(50_000),
    text: fc.nat(100_000),
    reasoning: fc.nat(50_000),
    audioOutput: fc.nat(10_000),
    imageOutput: fc.nat(10_000),
    audioInput: fc.nat(10_000),
    imageInput: fc.nat(10_000),
    webSearches: fc.nat(20),
  })
  .map(({ fresh, text, ...parts }) => ({
    ...emptyUsage(),
    ...parts,
    input:
      fresh + parts.cacheRead + parts.cacheWrite5m + parts.cacheWrite1h + parts.audioInput + parts.imageInput,
    output: text + parts.reasoning + parts.audioOutput + parts.imageOutput,
  }));

const perCall = fc.nat(100_000_000);

function flat(rates: Rates, more: Partial<Price> = {}): Price {
  return withVersion({ rates, tiers: [], perCall: 0, source: 'test', ...more });
}

/** All rates are the same. */
function uniform(pico: number): Rates {
  return {
    input: pico,
    cacheRead: pico,
    cacheWrite5m: pico,
    cacheWrite1h: pico,
    output: pico,
    audioInput: pico,
    audioOutput: pico,
  };
}

/** The same in whole numbers of any size, each token at exactly one rate. */
function exactly(usage: Usage, r: Rates, webSearch: number, perCall: number): bigint {
  const n = (count: number, pico: number) => BigInt(count) * BigInt(pico);
  const { audioInput, imageInput = 0, imageOutput = 0, audioOutput, reasoning } = usage;
  const cached = usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h;
  const pico =
    n(usage.input - cached - audioInput - imageInput, r.input) +
    n(audioInput, r.audioInput) +
    n(imageInput, r.imageInput ?? r.input) +
    n(usage.cacheRead, r.cacheRead) +
    n(usage.cacheWrite5m, r.cacheWrite5m) +
    n(usage.cacheWrite1h, r.cacheWrite1h) +
    n(usage.output - audioOutput - imageOutput - reasoning, r.output) +
    n(reasoning, r.reasoning ?? r.output) +
    n(audioOutput, r.audioOutput) +
    n(imageOutput, r.imageOutput ?? r.output) +
    n(usage.webSearches ?? 0, webSearch);
  return (pico + 500n) / 1000n + BigInt(perCall);
}

describe('a charge', () => {
  test('is exact: every token at one rate, rounded once', () => {
    fc.assert(
      fc.property(usages, rates, rate, perCall, (usage, some, webSearch, call) => {
        const price = flat(some, { webSearch, perCall: call });
        expect(BigInt(charge(usage, price))).toBe(exactly(usage, some, webSearch, call));
      }),
    );
  });

  test('is that of the totals where all rates are the same: nothing counts twice', () => {
    fc.assert(
      fc.property(usages, rate, (usage, pico) => {
        const total = Math.floor(((usage.input + usage.output) * pico + 500) / 1000);
        expect(charge(usage, flat(uniform(pico)))).toBe(total);
      }),
    );
  });

  test('never falls where more is used, or a rate rises', () => {
    const counts = ['input', 'output', 'webSearches'] as const;
    fc.assert(
      fc.property(
        usages,
        rates,
        rate,
        fc.constantFrom(...counts),
        fc.nat(10_000),
        (usage, some, each, name, more) => {
          const price = flat(some, { webSearch: each });
          const grown = { ...usage, [name]: (usage[name] ?? 0) + more };
          expect(charge(grown, price)).toBeGreaterThanOrEqual(charge(usage, price));
          const dearer = flat({ ...some, output: some.output + more }, { webSearch: each });
          expect(charge(usage, dearer)).toBeGreaterThanOrEqual(charge(usage, price));
        },
      ),
    );
  });

  test('counts at least the parts where a provider counts them beside the total', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), (input, cacheRead) => {
        const usage = { ...emptyUsage(), input, cacheRead };
        expect(charge(usage, flat(uniform(1_000_000)))).toBe(1000 * Math.max(input, cacheRead));
      }),
    );
  });

  test('beyond what a double holds still grows, and stays a whole number', () => {
    const price = flat(uniform(100_000_000), { perCall: 7 });
    const huge = (input: number) => charge({ ...emptyUsage(), input }, price);
    expect(Number.isSafeInteger(huge(1e9))).toBeTrue();
    expect(huge(1e9)).toBeGreaterThan(huge(9e7));
  });
});

describe('searches of the web', () => {
  const searched = { ...emptyUsage(), input: 1000, output: 10, webSearches: 3 };

  test('cost each, or once an answer', () => {
    const price = flat(uniform(0), { webSearch: 10_000_000_000 });
    expect(charge(searched, price)).toBe(30_000_000);
    expect(charge(searched, { ...price, webSearchOnce: true })).toBe(10_000_000);
  });

  test('without a price leave the call unpriced, unless calls are what is paid for', () => {
    expect(chargeKnown(searched, flat(uniform(1000)))).toBeUndefined();
    expect(chargeKnown({ ...searched, webSearches: 0 }, flat(uniform(1000)))).toBe(1010);
    expect(chargeKnown(searched, flat(uniform(1000), { perCall: 5 }))).toBe(1015);
  });
});

describe('service tiers', () => {
  const half = { rates: uniform(500), tiers: [{ above: 100, rates: uniform(700) }] };
  const price = flat(uniform(1000), { serviceTiers: new Map([['flex', half]]), webSearch: 1_000_000 });
  const usage = { ...emptyUsage(), input: 100, output: 1000 };

  test('have rates of their own, and tiers of context', () => {
    expect(charge(usage, price)).toBe(1100);
    expect(charge({ ...usage, tier: 'flex' }, price)).toBe(550);
    expect(charge({ ...usage, input: 200, tier: 'flex' }, price)).toBe(840);
  });

  test('nobody knows the rates of cost the usual', () => {
    expect(charge({ ...usage, tier: 'priority' }, price)).toBe(1100);
  });

  test('change nothing of what is no token, nor of the share of a batch', () => {
    expect(charge({ ...usage, webSearches: 2, tier: 'flex' }, price)).toBe(550 + 2000);
    expect(chargeShare({ ...usage, webSearches: 2, tier: 'batch' }, price, 0.5)).toBe(550 + 2000);
    expect(chargeShare(usage, undefined, 0.5)).toBeUndefined();
  });

  test('searches that cost once an answer cost once in a batch, too; of many answers nobody knows how many did', () => {
    const once = { ...price, webSearchOnce: true as const };
    const searched = { ...usage, webSearches: 3 };
    expect(charge(searched, once)).toBe(1100 + 1000);
    expect(chargeShare(searched, once, 0.5)).toBe(550 + 1000);
    expect(chargeShare(searched, priceOfMany(once), 0.5)).toBe(550 + 3000);
  });
});

describe('sell prices', () => {
  test('are exact, rounded half up', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1e12 }), fc.integer({ min: 0, max: 10_000_000 }), (nano, ppm) => {
        fc.pre((BigInt(nano) * BigInt(ppm)) / 1_000_000n < 10n ** 15n);
        expect(BigInt(sellPrice(nano, ppm))).toBe((BigInt(nano) * BigInt(ppm) + 500_000n) / 1_000_000n);
      }),
    );
  });
});

describe("a price's version", () => {
  test('is the same for the same price, in whatever order it was put together', () => {
    fc.assert(
      fc.property(rates, (some) => {
        const turned = Object.fromEntries(Object.entries(some).reverse()) as unknown as Rates;
        expect(flat(turned).version).toBe(flat(some).version);
        expect(flat(some).version).toMatch(/^[0-9a-f]{12}$/);
      }),
    );
  });

  test('is another one for other rates, other tiers, another source', () => {
    const base = flat(uniform(5));
    const others = [
      flat(uniform(6)),
      flat(uniform(5), { perCall: 1 }),
      flat(uniform(5), { source: 'other' }),
      flat(uniform(5), { serviceTiers: new Map([['flex', { rates: uniform(2), tiers: [] }]]) }),
      flat(uniform(5), { units: { images: new Map([['hd', 1]]) } }),
      flat(uniform(5), { webSearch: 1 }),
    ];
    expect(new Set([base, ...others].map(({ version }) => version)).size).toBe(7);
  });

  test('stands for text that says every rate', () => {
    const price = flat(uniform(5), { units: { images: new Map([['hd', 1]]) } });
    expect(JSON.parse(writePrice(price))).toEqual({
      perCall: 0,
      rates: uniform(5),
      tiers: [],
      units: { images: { hd: 1 } },
    });
  });
});
