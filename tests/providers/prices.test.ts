/** Prices: from the list or the configuration into whole pico-dollars per token; unknown stays unknown. */
import { describe, expect, test } from 'bun:test';
import { charge, type Price } from '../../src/core/money.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { catalogue } from '../../src/providers/catalog.ts';
import { nextPriceChange, resolvePrice } from '../../src/providers/prices.ts';

const noon = Date.UTC(2026, 8, 1, 12);

function listed(provider: string, model: string, at = noon): Price | undefined {
  return resolvePrice(catalogue[provider], model, undefined, at);
}

describe('listed prices', () => {
  test('are whole pico-dollars per token, with what the list leaves out filled in', () => {
    expect(listed('openai', 'gpt-5')).toEqual({
      rates: {
        input: 1_250_000,
        cacheRead: 125_000,
        cacheWrite5m: 1_250_000,
        cacheWrite1h: 1_250_000,
        output: 10_000_000,
        audioInput: 1_250_000,
        audioOutput: 10_000_000,
      },
      tiers: [],
      perCall: 0,
      source: expect.stringMatching(/^genai-prices@\d+\.\d+\.\d+$/),
    });
  });

  test('of long prompts stand in tiers, complete in themselves', () => {
    expect(listed('anthropic', 'claude-sonnet-4-5')).toMatchObject({
      rates: {
        input: 3_000_000,
        cacheRead: 300_000,
        cacheWrite5m: 3_750_000,
        cacheWrite1h: 6_000_000,
        output: 15_000_000,
      },
      tiers: [
        {
          above: 200_000,
          rates: {
            input: 6_000_000,
            cacheRead: 600_000,
            cacheWrite5m: 7_500_000,
            cacheWrite1h: 12_000_000,
            output: 22_500_000,
          },
        },
      ],
    });
  });

  test('a one-hour cache write costs Anthropic twice the input where the list is silent', () => {
    const price = listed('anthropic', 'claude-2');
    expect(price?.rates.cacheWrite1h).toBe(2 * (price?.rates.input ?? 0));
  });

  test('a charge per call is counted beside the tokens', () => {
    expect(listed('perplexity', 'sonar-pro')?.perCall).toBe(14_000_000);
  });

  test('of certain hours hold at those hours', () => {
    const at = (hour: number) =>
      listed('deepseek', 'deepseek-v4-flash', Date.UTC(2026, 8, 1, hour))?.rates.input;
    expect([at(0), at(2), at(5), at(7), at(12)]).toEqual([220_000, 440_000, 220_000, 440_000, 220_000]);
  });

  test('charge what the list itself would', () => {
    const usage = { ...emptyUsage(), input: 10_000, cacheRead: 4000, cacheWrite5m: 1000, output: 500 };
    // 5000 × $3 + 4000 × $0.30 + 1000 × $3.75 + 500 × $15, per million
    expect(charge(usage, listed('anthropic', 'claude-sonnet-4-5')!)).toBe(27_450_000);
  });

  test('models that are free by name cost nothing, and say so', () => {
    expect(listed('openrouter', 'deepseek/deepseek-r1:free')).toMatchObject({
      rates: { input: 0, output: 0 },
      source: expect.stringContaining('genai-prices'),
    });
  });

  test('every rate of every priced model is a whole number', () => {
    for (const [provider, entry] of Object.entries(catalogue)) {
      for (const model of entry.known ?? []) {
        const price = listed(provider, model);
        for (const rates of price === undefined
          ? []
          : [price.rates, ...price.tiers.map((tier) => tier.rates)]) {
          for (const rate of Object.values(rates)) expect(Number.isSafeInteger(rate)).toBe(true);
        }
      }
    }
  });
});

describe('unknown prices', () => {
  const cases: [provider: string, model: string][] = [
    ['openai', 'no-such-model'],
    ['openai', 'whisper-1'],
    ['nvidia', 'meta/llama'],
    ['ollama', 'llama3.2'],
    ['acme', 'anything'],
  ];
  for (const [provider, model] of cases) {
    test(`${provider}/${model} has none: never a silent zero`, () => {
      expect(listed(provider, model)).toBeUndefined();
    });
  }
});

describe('prices of the configuration', () => {
  test('win over the list, and fill in what they leave out', () => {
    const price = resolvePrice(catalogue.openai, 'gpt-5', { input: 0.2, output: 0.8, request: 0.001 }, noon);
    expect(price).toEqual({
      rates: {
        input: 200_000,
        cacheRead: 200_000,
        cacheWrite5m: 200_000,
        cacheWrite1h: 200_000,
        output: 800_000,
        audioInput: 200_000,
        audioOutput: 800_000,
      },
      tiers: [],
      perCall: 1_000_000,
      source: 'config',
    });
  });

  test('say each rate, cached by either name', () => {
    const stated = { input: 1, output: 2, cache_write: 3, audio_input: 5, audio_output: 6 };
    expect(resolvePrice(undefined, 'm', { ...stated, cached: 0.1, cache_write_1h: 4 }, noon)?.rates).toEqual({
      input: 1_000_000,
      cacheRead: 100_000,
      cacheWrite5m: 3_000_000,
      cacheWrite1h: 4_000_000,
      output: 2_000_000,
      audioInput: 5_000_000,
      audioOutput: 6_000_000,
    });
    expect(resolvePrice(undefined, 'm', { ...stated, cache_read: 0.5 }, noon)?.rates).toMatchObject({
      cacheRead: 500_000,
      cacheWrite1h: 3_000_000,
    });
  });

  test('may be zero when a person says so', () => {
    expect(resolvePrice(catalogue.ollama, 'm', { input: 0, output: 0 }, noon)?.rates.input).toBe(0);
  });
});

test('mock costs a little, so that money can be seen', () => {
  expect(listed('mock', 'echo')).toMatchObject({
    rates: { input: 1_000_000, output: 2_000_000 },
    source: 'mock',
  });
});

describe('the next change of a price', () => {
  test('is the next hour at which one begins or ends', () => {
    const next = (hour: number) => nextPriceChange([catalogue.deepseek!], Date.UTC(2026, 8, 1, hour));
    expect(next(5)).toBe(Date.UTC(2026, 8, 1, 6));
    expect(next(6)).toBe(Date.UTC(2026, 8, 1, 10));
    expect(next(23)).toBe(Date.UTC(2026, 8, 2, 0, 30));
  });

  test('is none where prices stay as they are', () => {
    expect(nextPriceChange([catalogue.mock!, catalogue.nvidia!], noon)).toBeUndefined();
  });
});
