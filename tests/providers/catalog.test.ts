/** The catalogue is data: what every entry must be like, and what its rules say of well-known models. */
import { describe, expect, test } from 'bun:test';
import { findProvider } from '@pydantic/genai-prices';
import { servesModel, speaksOf } from '../../src/config/hosting.ts';
import type { DialectName } from '../../src/core/chat.ts';
import { authHeader, secretFrom } from '../../src/providers/auth.ts';
import { catalogue, catalogued, placesOf, preferredDialect, quirksOf } from '../../src/providers/catalog.ts';
import type { CatalogueEntry } from '../../src/providers/entry.ts';
import {
  fillIn,
  type Place,
  placeholdersOf,
  type Settings,
  settingForms,
  valuesOf,
} from '../../src/providers/places.ts';
import { resolvePrice } from '../../src/providers/prices.ts';

const now = Date.UTC(2026, 8, 1, 5);

/** Every place of an entry, with the URL it is below in front. */
function placesWithin(entry: CatalogueEntry): Place[] {
  return (Object.keys(entry.speaks) as DialectName[])
    .flatMap((dialect) => placesOf(entry, dialect))
    .map((place) => (/^(\/|$)/.test(place.url) ? { ...place, url: (entry.url ?? '') + place.url } : place));
}

const examples = Object.fromEntries(
  Object.entries(settingForms).map(([name, { example }]) => [name, example]),
) as Settings;

describe('entries', () => {
  test('are sorted', () => {
    expect(Object.keys(catalogue)).toEqual(Object.keys(catalogue).sort());
  });

  for (const [name, entry] of Object.entries(catalogue)) {
    test(`${name} has URLs without a trailing slash, a known price list, and prices for the models it names`, () => {
      const values = valuesOf(examples, entry.host);
      for (const { url } of placesWithin(entry)) {
        expect(fillIn(url, values)).toMatch(/^https?:\/\/[^\s{}]+[^/{}]$/);
        expect(URL.canParse(fillIn(url, values))).toBe(true);
      }
      if (!entry.keyless) expect(entry.env.length).toBeGreaterThan(0);
      if (entry.prices !== undefined)
        expect(findProvider({ providerId: entry.prices })?.id).toBe(entry.prices);
      for (const model of entry.known ?? [])
        expect([model, resolvePrice(entry, model, undefined, now)]).not.toContain(undefined);
    });

    test(`${name} is asked for no more settings than it needs, and says where they usually are`, () => {
      const asked = placesWithin(entry).flatMap(({ url, path = '', streamPath = '' }) =>
        placeholdersOf(url + path + streamPath),
      );
      const needed = new Set<string>([...asked, ...(entry.host === undefined ? [] : [entry.host.by])]);
      needed.delete('model');
      if (entry.host !== undefined) needed.delete('host');
      expect(Object.keys(entry.settings ?? {}).sort()).toEqual([...needed].sort());
      for (const variables of Object.values(entry.settings ?? {})) expect(variables).not.toBeEmpty();
    });

    test(`${name} serves each of the models it names`, () => {
      const speaks = speaksOf(entry, examples);
      for (const model of entry.known ?? [])
        expect([model, servesModel(speaks, model)]).toEqual([model, true]);
    });
  }

  test('servers away from this machine are called over TLS', () => {
    for (const entry of Object.values(catalogue)) {
      for (const { url } of placesWithin(entry))
        expect(url).toMatch(/^(https:|http:\/\/(127\.0\.0\.1|mock\.invalid)[:/])/);
    }
  });

  test('no variable belongs to two providers, but where they are one account', () => {
    const variables = Object.entries(catalogue).flatMap(([name, entry]) =>
      name === 'bedrock-mantle' ? [] : [...entry.env, ...(entry.urlEnv ? [entry.urlEnv] : [])],
    );
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
    toolIds: /^[A-Za-z0-9]{9}$/,
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

describe('models hosted elsewhere are who they are', () => {
  const same: [provider: string, model: string, original: string][] = [
    ['bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5'],
    ['bedrock', 'anthropic.claude-sonnet-4-20250514-v1:0', 'claude-sonnet-4-0'],
    ['bedrock', 'anthropic.claude-opus-4-1-20250805-v1:0', 'claude-opus-4-1'],
    ['bedrock', 'global.anthropic.claude-opus-4-6-v1', 'claude-opus-4-6'],
    ['bedrock', 'anthropic.claude-3-5-sonnet-20240620-v1:0', 'claude-3-5-sonnet-20240620'],
    [
      'bedrock',
      'arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1',
      'claude-opus-4-6',
    ],
    ['azure-anthropic', 'claude-opus-4-8', 'claude-opus-4-8'],
  ];
  for (const [provider, model, original] of same) {
    test(`${provider}/${model}`, () => {
      expect(quirksOf(catalogue[provider], model)).toEqual(quirksOf(catalogue.anthropic, original));
    });
  }

  test.each(['claude-sonnet-4-5@20250929', 'claude-opus-4-1@20250805', 'claude-opus-4@20250514'])(
    'vertex/%s',
    (model) => {
      const original = quirksOf(catalogue.anthropic, model.replace('@', '-'));
      expect(quirksOf(catalogue.vertex, model)).toMatchObject({ ...original, schemaByTool: true });
    },
  );

  test.each([
    'us.anthropic.claude-opus-4-8',
    'anthropic.claude-sonnet-5',
    'global.anthropic.claude-fable-5-1-v1:0',
  ])('bedrock/%s takes schemas by a tool', (model) => {
    expect(quirksOf(catalogue.bedrock, model).schemaByTool).toBe(true);
  });

  test.each([
    ['azure', 'gpt-5-mini'],
    ['bedrock-mantle', 'openai.gpt-5.4'],
    ['openrouter', 'openai/gpt-5'],
  ])('%s/%s is a reasoning model of OpenAI', (provider, model) => {
    expect(quirksOf(catalogue[provider], model).limitMember).toBe('max_completion_tokens');
  });

  test.each([
    ['vertex', 'claude-sonnet-4-5@20250929', 3],
    ['bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', 3.3],
    ['bedrock', 'global.anthropic.claude-sonnet-4-5-20250929-v1:0', 3],
    ['azure-anthropic', 'claude-sonnet-4-5', 3],
    ['azure', 'gpt-4o', 2.5],
    ['gemini', 'gemini-2.5-flash', 0.3],
    ['vertex', 'gemini-2.5-flash', 0.3],
    ['bedrock-mantle', 'openai.gpt-5.4', 2.75],
    ['cohere', 'command-a-03-2025', 2.5],
  ])('%s/%s has its price', (provider, model, usd) => {
    expect(resolvePrice(catalogue[provider], model, undefined, now)?.rates.input).toBe(usd * 1e6);
  });
});

describe('what a dialect cannot say', () => {
  const dialectsOf = (provider: string, model: string): string[] =>
    [...speaksOf(catalogue[provider], examples)].flatMap(([dialect, places]) =>
      servesModel(new Map([[dialect, places]]), model) ? [dialect] : [],
    );

  test('reasoning models of OpenAI are rather asked by Responses, at OpenAI and Azure', () => {
    for (const model of ['o3', 'o4-mini', 'gpt-5', 'gpt-5.6', 'gpt-6-sol']) {
      expect([model, preferredDialect(catalogue.openai, model)]).toEqual([model, 'openai-responses']);
      expect([model, preferredDialect(catalogue.azure, model)]).toEqual([model, 'openai-responses']);
    }
    for (const model of ['gpt-4o', 'gpt-4.1-mini', 'gpt-oss-120b']) {
      expect([model, preferredDialect(catalogue.openai, model)]).toEqual([model, undefined]);
    }
    expect(preferredDialect(catalogue.openrouter, 'openai/gpt-5')).toBeUndefined();
    expect(preferredDialect(undefined, 'gpt-5')).toBeUndefined();
  });

  test.each([
    'o1-pro',
    'o3-pro-2025-06-10',
    'gpt-5-pro',
    'gpt-5.2-pro',
    'gpt-5-codex',
    'gpt-5.1-codex-max',
    'codex-mini-latest',
    'o3-deep-research',
  ])('%s is had by Responses only', (model) => {
    expect(dialectsOf('openai', model)).toEqual(['openai-responses']);
  });

  test.each([
    ['openai', 'gpt-4o', ['openai-chat', 'openai-responses']],
    ['openai', 'gpt-3.5-turbo-instruct', ['openai-completions']],
    ['vertex', 'claude-opus-4-8', ['anthropic-messages']],
    ['vertex', 'gemini-2.5-flash', ['gemini']],
    ['vertex', 'meta/llama-4-maverick-17b-128e-instruct-maas', ['openai-chat']],
    ['vertex', 'mistral-medium-3', ['openai-chat']],
    ['vertex', 'text-bison', []],
    ['bedrock', 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', ['anthropic-messages', 'bedrock-converse']],
    ['bedrock', 'amazon.nova-lite-v1:0', ['bedrock-converse']],
    ['bedrock-mantle', 'anthropic.claude-opus-4-8', ['anthropic-messages']],
    ['bedrock-mantle', 'openai.gpt-5.4', ['openai-responses']],
    ['bedrock-mantle', 'openai.gpt-oss-120b', ['openai-chat', 'openai-responses']],
    ['bedrock-mantle', 'mistral.voxtral-mini-3b-2507', ['openai-chat']],
  ])('%s/%s is asked in %p', (provider, model, dialects) => {
    expect(dialectsOf(provider, model)).toEqual(dialects);
  });
});

test('a key travels as a bearer token or in a header of its own; no key, no header', () => {
  expect(authHeader('bearer', 's')).toEqual(['authorization', 'Bearer s']);
  for (const name of ['x-api-key', 'api-key', 'x-goog-api-key'] as const) {
    expect(authHeader(name, 's')).toEqual([name, 's']);
  }
  expect(authHeader('bearer', '')).toBeUndefined();
});

test('of several variables the first that holds something counts', () => {
  expect(secretFrom({ A: '', B: ' b\n', C: 'c' }, ['X', 'A', 'B', 'C'])).toBe('b');
  expect(secretFrom({ A: ' ' }, ['A', 'B'])).toBe('');
});
