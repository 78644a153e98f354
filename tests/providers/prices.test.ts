/** Prices: from the list or the configuration into whole pico-dollars per token; unknown stays unknown. */
import { describe, expect, test } from 'bun:test';
import { charge, chargeKnown, type Price } from '../../src/core/money.ts';
import { emptyUsage, type Units, type Usage } from '../../src/core/usage.ts';
import { catalogue } from '../../src/providers/catalog.ts';
import { nextPriceChange, resolvePrice, type StatedPrice } from '../../src/providers/prices.ts';

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
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      webSearch: 10_000_000_000,
      serviceTiers: new Map([
        ['flex', { rates: expect.objectContaining({ input: 625_000, cacheRead: 62_500 }), tiers: [] }],
      ]),
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

  test.each([
    ['anthropic', 'claude-2'],
    ['bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['vertex', 'claude-opus-4-8'],
    ['azure-anthropic', 'claude-opus-4-8'],
  ])('a one-hour cache write costs twice the input: %s/%s', (provider, model) => {
    const price = listed(provider, model);
    expect(price?.rates.input).toBeGreaterThan(0);
    expect(price?.rates.cacheWrite1h).toBe(2 * price!.rates.input);
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
    ['openai', 'no-such-embedding'],
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

describe('prices that are not of tokens', () => {
  const usageOf = (units: Units): Usage => ({ ...emptyUsage(), units });
  const nano = (provider: string, model: string, units: Units) =>
    chargeKnown(usageOf(units), listed(provider, model));

  test.each([
    // 0.006 USD a minute
    ['openai', 'whisper-1', { millisecond: 60_000 }, 6_000_000],
    ['openai', 'whisper-1', { millisecond: 1 }, 100],
    ['azure', 'whisper', { millisecond: 30_500 }, 3_050_000],
    ['groq', 'whisper-large-v3', { millisecond: 3_600_000 }, 111_000_000],
    ['openai', 'tts-1', { character: 1000 }, 15_000_000],
    ['openai', 'tts-1-hd', { character: 1 }, 30_000],
    ['openai', 'dall-e-3', { image: 2 }, 80_000_000],
    ['openai', 'dall-e-3', { image: 1, imageKind: 'standard/1024x1792' }, 80_000_000],
    ['openai', 'dall-e-3', { image: 1, imageKind: 'hd/1024x1024' }, 80_000_000],
    ['openai', 'dall-e-3', { image: 1, imageKind: 'hd/1792x1024' }, 120_000_000],
    ['openai', 'dall-e-2', { image: 3, imageKind: '/256x256' }, 48_000_000],
    ['openai', 'dall-e-3', { image: 1, imageKind: 'constructor/__proto__' }, 40_000_000],
    ['cohere', 'rerank-v3.5', { search: 3 }, 6_000_000],
    ['gemini', 'imagen-4.0-generate-001', { image: 1 }, 40_000_000],
  ])('%s/%s: %j', (provider, model, units, expected) => {
    expect(nano(provider, model, units)).toBe(expected);
  });

  test('of images in tokens stand beside those of text', () => {
    const usage = { ...emptyUsage(), input: 150, imageInput: 100, output: 1056, imageOutput: 1056 };
    // 50 × $5 + 100 × $8 + 1056 × $32, per million
    expect(chargeKnown(usage, listed('openai', 'gpt-image-1.5'))).toBe(34_842_000);
  });

  test('moderation is free, and known to be', () => {
    expect(chargeKnown({ ...emptyUsage(), input: 500 }, listed('openai', 'omni-moderation-latest'))).toBe(0);
  });

  test('say nothing of what is not counted in them: never a silent zero', () => {
    expect(chargeKnown({ ...emptyUsage(), input: 500 }, listed('openai', 'tts-1'))).toBeUndefined();
    expect(nano('openai', 'gpt-5', { image: 1 })).toBeUndefined();
    expect(nano('openai', 'whisper-1', { character: 1 })).toBeUndefined();
  });

  test('of the configuration may be in any unit, beside tokens or alone', () => {
    const price = (stated: StatedPrice) => resolvePrice(undefined, 'm', stated, noon);
    const units = { image: 2, imageKind: 'hd/', millisecond: 1000, character: 10, search: 1 };
    const stated = { image: 1, images: { hd: 2 }, second: 0.5, character: 1_000, search: 0.25 };
    expect(chargeKnown(usageOf(units), price(stated))).toBe(4_760_000_000);
    expect(
      chargeKnown({ ...usageOf({ image: 1 }), input: 10 }, price({ input: 1, output: 1, image: 1 })),
    ).toBe(1_000_010_000);
    expect(chargeKnown(usageOf({ search: 1 }), price({ request: 0.001 }))).toBe(1_000_000);
    expect(chargeKnown(usageOf({ search: 1 }), price({ input: 0, output: 0 }))).toBe(0);
  });
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
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      webSearch: 10_000_000_000,
      serviceTiers: new Map([['flex', { rates: expect.objectContaining({ input: 100_000 }), tiers: [] }]]),
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

  test('is also that of a list that stands in for another', () => {
    const morning = Date.UTC(2026, 8, 1, 5);
    expect(nextPriceChange([catalogue.azure!], morning)).toBe(
      nextPriceChange([catalogue.deepseek!], morning)!,
    );
  });

  test('is none where prices stay as they are', () => {
    expect(nextPriceChange([catalogue.mock!, catalogue.nvidia!], noon)).toBeUndefined();
  });
});

describe('what prices may be stated in', () => {
  const stated = (price: StatedPrice) => resolvePrice(undefined, 'any', price, noon)!;
  const usage = { ...emptyUsage(), input: 1000, output: 1000, reasoning: 400 };

  test('reasoning has a rate of its own where one is stated', () => {
    expect(charge(usage, stated({ input: 0, output: 1 }))).toBe(1_000_000);
    expect(charge(usage, stated({ input: 0, output: 1, reasoning: 3 }))).toBe(1_800_000);
  });

  test('long calls have rates of their own; what is left out stays as it is', () => {
    const price = stated({
      input: 1,
      output: 2,
      cached: 0.1,
      above: [
        { tokens: 2000, input: 4 },
        { tokens: 500, input: 3, output: 5 },
      ],
    });
    expect(price.tiers.map(({ above }) => above)).toEqual([500, 2000]);
    expect(charge({ ...usage, input: 500 }, price)).toBe(2_500_000);
    expect(charge(usage, price)).toBe(8_000_000);
    expect(charge({ ...usage, input: 3000, cacheRead: 1000 }, price)).toBe(10_100_000);
  });

  test('a service tier is a factor of the price of tokens, beside those of the provider', () => {
    const openai = resolvePrice(
      catalogue.openai,
      'gpt-5',
      { input: 1, output: 1, request: 0.001, tiers: { priority: 2 } },
      noon,
    )!;
    expect(charge({ ...usage, tier: 'priority' }, openai)).toBe(5_000_000);
    expect(charge({ ...usage, tier: 'flex' }, openai)).toBe(2_000_000);
    expect(charge(usage, openai)).toBe(3_000_000);
  });

  test('searches of the web cost what is stated, or else what the provider takes', () => {
    const searched = { ...emptyUsage(), webSearches: 2 };
    const at = (entry: string, model: string, price?: StatedPrice) =>
      charge(searched, resolvePrice(catalogue[entry], model, price, noon)!);
    expect(at('openai', 'gpt-5', { input: 1, output: 1 })).toBe(20_000_000);
    expect(at('openai', 'gpt-5', { input: 1, output: 1, web_search: 0.1 })).toBe(200_000_000);
    expect(at('gemini', 'gemini-2.5-flash')).toBe(35_000_000);
    expect(at('gemini', 'gemini-3-flash-preview')).toBe(28_000_000);
    expect(at('anthropic', 'claude-sonnet-4-5')).toBe(20_000_000);
    expect(chargeKnown(searched, stated({ input: 1, output: 1 }))).toBeUndefined();
  });
});
