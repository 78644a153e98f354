/** The catalogue is data: what every entry must be like, and what its rules say of well-known models. */
import { describe, expect, test } from 'bun:test';
import { findProvider } from '@pydantic/genai-prices';
import { authHeader, secretFrom } from '../../src/providers/auth.ts';
import { catalogue, catalogued, quirksOf } from '../../src/providers/catalog.ts';
import { resolvePrice } from '../../src/providers/prices.ts';

const now = Date.UTC(2026, 8, 1, 5);

describe('entries', () => {
  test('are sorted', () => {
    expect(Object.keys(catalogue)).toEqual(Object.keys(catalogue).sort());
  });

  for (const [name, entry] of Object.entries(catalogue)) {
    test(`${name} has URLs without a trailing slash, a known price list, and prices for the models it names`, () => {
      for (const url of Object.values(entry.speaks)) expect(url).toMatch(/^https?:\/\/[^\s]+[^/]$/);
      if (!entry.keyless) expect(entry.env.length).toBeGreaterThan(0);
      if (entry.prices !== undefined)
        expect(findProvider({ providerId: entry.prices })?.id).toBe(entry.prices);
      for (const model of entry.known ?? [])
        expect([model, resolvePrice(entry, model, undefined, now)]).not.toContain(undefined);
    });
  }

  test('servers away from this machine are called over TLS', () => {
    for (const entry of Object.values(catalogue)) {
      for (const url of Object.values(entry.speaks))
        expect(url).toMatch(/^(https:|http:\/\/(127\.0\.0\.1|mock\.invalid)[:/])/);
    }
  });

  test('no variable belongs to two providers', () => {
    const variables = Object.values(catalogue).flatMap((entry) => [
      ...entry.env,
      ...(entry.urlEnv ? [entry.urlEnv] : []),
    ]);
    expect(new Set(variables).size).toBe(variables.length);
  });

  test('names that every object has are none', () => {
    expect(catalogued('constructor')).toBeUndefined();
  });
});

describe('Claude', () => {
  const cases: [model: string, quirks: object][] = [
    ['claude-opus-5', { thinking: 'adaptive', noSampling: true, schemaByTool: undefined }],
    ['claude-sonnet-5', { thinking: 'adaptive', noSampling: true, systemInMessages: undefined }],
    [
      'claude-opus-4-8',
      { thinking: 'adaptive', noSampling: true, systemInMessages: true, defaultMaxTokens: 128_000 },
    ],
    ['claude-opus-4-7', { thinking: 'adaptive', noSampling: true, systemInMessages: undefined }],
    ['claude-sonnet-4-6', { thinking: 'adaptive', noSampling: false, defaultMaxTokens: 128_000 }],
    [
      'claude-sonnet-4-5',
      { thinking: 'budget', noSampling: false, schemaByTool: undefined, defaultMaxTokens: 64_000 },
    ],
    ['claude-haiku-4-5-20251001', { thinking: 'budget', schemaByTool: undefined, defaultMaxTokens: 64_000 }],
    ['claude-opus-4-1-20250805', { thinking: 'budget', schemaByTool: undefined, defaultMaxTokens: 32_000 }],
    ['claude-opus-4-20250514', { thinking: 'budget', schemaByTool: true, defaultMaxTokens: 32_000 }],
    [
      'claude-sonnet-4-0',
      { thinking: 'budget', noSampling: false, schemaByTool: true, defaultMaxTokens: 64_000 },
    ],
    [
      'claude-3-7-sonnet-latest',
      { thinking: 'budget', noSampling: false, schemaByTool: true, defaultMaxTokens: 64_000 },
    ],
    ['claude-3-5-haiku-20241022', { schemaByTool: true, defaultMaxTokens: 8192 }],
    ['claude-3-haiku-20240307', { schemaByTool: true, noSampling: false, defaultMaxTokens: 4096 }],
  ];
  for (const [model, quirks] of cases) {
    test(model, () => {
      const actual = quirksOf(catalogue.anthropic, model);
      for (const [name, value] of Object.entries(quirks)) {
        expect([name, actual[name as keyof typeof actual]]).toEqual([name, value]);
      }
    });
  }

  test('is the same at other hosts, written with a dot', () => {
    for (const model of ['opus-4-8', 'sonnet-4-5', 'opus-4-1']) {
      const { defaultMaxTokens, thinking, noSampling } = quirksOf(catalogue.anthropic, `claude-${model}`);
      const dotted = `anthropic/claude-${model.replace(/-(\d)$/, '.$1')}`;
      expect(quirksOf(catalogue.openrouter, dotted)).toMatchObject({
        defaultMaxTokens,
        thinking,
        noSampling,
      });
      expect(quirksOf(undefined, dotted)).toMatchObject({ defaultMaxTokens, thinking, noSampling });
    }
  });
});

test("OpenAI's reasoning models take max_completion_tokens, and no sampling while they always reason", () => {
  const quirks = (model: string) => quirksOf(catalogue.openai, model);
  for (const model of [
    'o3',
    'o4-mini',
    'gpt-5',
    'gpt-5-mini',
    'gpt-5.5',
    'gpt-5.6',
    'gpt-5.2-pro',
    'gpt-6-astra',
  ]) {
    expect([model, quirks(model)]).toMatchObject([
      model,
      { limitMember: 'max_completion_tokens', noSampling: true },
    ]);
  }
  for (const model of ['gpt-5.1', 'gpt-5.4-mini', 'gpt-5-chat-latest']) {
    expect([model, quirks(model).limitMember, quirks(model).noSampling]).toEqual([
      model,
      'max_completion_tokens',
      undefined,
    ]);
  }
  for (const model of ['gpt-4.1-mini', 'gpt-4o', 'openrouter-o3x', 'gpt-oss-120b']) {
    expect([model, quirks(model).limitMember, quirks(model).noSampling]).toEqual([
      model,
      undefined,
      undefined,
    ]);
  }
  expect(quirks('gpt-5').efforts).toEqual(['minimal', 'low', 'medium', 'high']);
});

test('hosts keep their own words: Mistral, DeepSeek, xAI', () => {
  expect(quirksOf(catalogue.mistral, 'mistral-large-latest')).toMatchObject({
    shortToolIds: true,
    rename: { seed: 'random_seed' },
    limitMember: 'max_tokens',
  });
  expect(quirksOf(catalogue.deepseek, 'deepseek-v4-pro')).toMatchObject({
    replayReasoning: 'reasoning_content',
    noJsonSchema: true,
    textOnly: true,
  });
  expect(quirksOf(catalogue.deepseek, 'deepseek-v3.2').replayReasoning).toBeUndefined();
  expect(quirksOf(catalogue.xai, 'grok-4.5').outputExcludesReasoning).toBe(true);
});

test('a key travels as a bearer token or as x-api-key; no key, no header', () => {
  expect(authHeader('bearer', 's')).toEqual(['authorization', 'Bearer s']);
  expect(authHeader('x-api-key', 's')).toEqual(['x-api-key', 's']);
  expect(authHeader('bearer', '')).toBeUndefined();
});

test('of several variables the first that holds something counts', () => {
  expect(secretFrom({ A: '', B: ' b\n', C: 'c' }, ['X', 'A', 'B', 'C'])).toBe('b');
  expect(secretFrom({ A: ' ' }, ['A', 'B'])).toBe('');
});
