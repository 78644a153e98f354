/** Reading the configuration: what is right becomes a Config, what is wrong is said at its place, all at once. */
import { describe, expect, test } from 'bun:test';
import { compile } from '../../src/config/compile.ts';
import { configFromEnvironment, type Env, loadConfig, readConfig } from '../../src/config/load.ts';
import { formatMistakes } from '../../src/config/mistakes.ts';
import type { Config } from '../../src/config/schema.ts';

function mistakesOf(text: string, env: Env = {}): string[] {
  const { mistakes } = readConfig(text, env);
  return formatMistakes('sluice.yaml', mistakes).split('\n');
}

function right(text: string, env: Env = {}): Config {
  const { config, mistakes } = readConfig(text, env);
  expect(mistakes).toEqual([]);
  return config as Config;
}

describe('a right file', () => {
  test('an empty one has the defaults, and the providers of the environment', () => {
    const config = right('', { GROQ_API_KEY: 'g' });
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 4000 },
      data: './sluice-data',
      store: 'sqlite',
      body_limit: 32 * 1024 * 1024,
      drain: 30_000,
      log: { level: 'info' },
    });
    expect(Object.keys(config.providers ?? {})).toEqual(['groq', 'mock']);
  });

  test('durations and sizes become milliseconds and bytes', () => {
    const config = right('drain: 500ms\nbody_limit: 1.5kb\nproviders: { mock: { timeout: { idle: 10m } } }');
    expect(config.drain).toBe(500);
    expect(config.body_limit).toBe(1536);
    expect(config.providers?.mock?.timeout).toEqual({ idle: 600_000 });
  });

  test('an IPv6 address stands in brackets', () => {
    expect(right('listen: "[::1]:0"').listen).toEqual({ host: '::1', port: 0 });
  });

  test('sections and providers with nothing under them are empty ones', () => {
    expect(Object.keys(right('providers:\n  mock:\nkeys:\nmodels:').providers ?? {})).toEqual(['mock']);
  });

  test('teams of an organisation may all be in the store', () => {
    const text = 'organisations: { shop: {}, shop2: {} }\nteams: { t: { organisation: shop } }';
    expect(Object.keys(right(text).organisations)).toEqual(['shop', 'shop2']);
  });

  test('YAML anchors and merge keys work', () => {
    const { keys } = right(
      'keys:\n  - &one { name: a, key: ka, limits: [{ usd: 1, per: day }] }\n  - { <<: *one, name: b, key: kb }',
    );
    expect(keys.map((key) => [key.name, key.limits.length])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });
});

describe('variables', () => {
  test('are replaced in values, several in one, numbers too', () => {
    const text =
      'listen: "${HOST}:${PORT}"\nkeys: [{ name: a, key: "${K}", limits: [{ requests: "${N}", per: day }] }]';
    const config = right(text, { HOST: 'localhost', PORT: '80', K: 'k', N: '60' });
    expect(config.listen).toEqual({ host: 'localhost', port: 80 });
    expect(config.keys[0]).toMatchObject({ key: 'k', limits: [{ requests: 60, per: 'day' }] });
  });

  test('a default stands in for one that is unset or empty', () => {
    expect(right('data: "${D:-./here}"').data).toBe('./here');
    expect(right('data: "${D:-./here}"', { D: '' }).data).toBe('./here');
    expect(right('data: "${D:-./here}"', { D: '/there' }).data).toBe('/there');
  });

  test('what a variable holds is not looked at again', () => {
    expect(right('data: "${D}"', { D: '${E}' }).data).toBe('${E}');
    expect(right('data: "$${D}"').data).toBe('${D}');
  });

  test('one that is not set is named, and only once', () => {
    expect(mistakesOf('providers:\n  openai: { key: "${NOPE}" }')).toEqual([
      'sluice.yaml:2:18  providers.openai.key: the variable NOPE is not set; set it, or write ${NOPE:-default}',
    ]);
  });

  test('a brace that YAML takes for a map is explained', () => {
    expect(mistakesOf('providers: { openai: { key: ${KEY} } }')[0]).toContain('put quotes around variables');
  });

  test('something that is no name is a mistake', () => {
    expect(mistakesOf('data: "${a-b}"')).toEqual([
      'sluice.yaml:1:7  data: "${a-b}" is no variable; write ${NAME} or ${NAME:-default}',
    ]);
  });
});

describe('mistakes', () => {
  test('are all said at once, in the order of the file', () => {
    const text = [
      'listn: 127.0.0.1:4000',
      'providers:',
      '  anthropic: { key: a }',
      'models:',
      '  fast: anthropic/claude-haiku-4-5',
      '  smart:',
      '    fallback:',
      '      - fasst',
      '      - antropic/claude',
      '  best: { cascade: [fast] }',
      'drain: 5 parsecs',
    ].join('\n');
    expect(mistakesOf(text)).toEqual([
      'sluice.yaml:1:1  listn: unknown key "listn"; did you mean "listen"?',
      'sluice.yaml:8:9  models.smart.fallback[0]: no model "fasst"; did you mean "fast"?',
      'sluice.yaml:9:9  models.smart.fallback[1]: no provider "antropic"; did you mean "anthropic"?',
      'sluice.yaml:10:11  models.best.cascade: the strategy "cascade" is not available yet; write one of fallback, split, cheapest, fastest, least_busy, sticky, when, hedge, mirror',
      'sluice.yaml:11:8  drain: "5 parsecs" is not usable; write it as 30s, 10m or 500ms',
    ]);
  });

  test('YAML that cannot be read has a place too', () => {
    expect(mistakesOf('models:\n  a: "x\n')[0]).toMatch(/^sluice\.yaml:\d+:\d+ {2}\S/);
    expect(mistakesOf('data: a\ndata: b')[0]).toStartWith('sluice.yaml:2:1');
    expect(mistakesOf('- a')).toEqual(['sluice.yaml:1:1  must be a map; write listen: 127.0.0.1:4000']);
  });

  test('a file that is not there', () => {
    expect(loadConfig('no/such/file.yaml', {}).mistakes).toMatchObject([
      { message: 'there is no such file', hint: 'give its path with --config' },
    ]);
  });

  const cases: [text: string, mistake: string][] = [
    ['listen: 4000', 'listen: must be host:port, such as 127.0.0.1:4000'],
    ['listen: "localhost:99999"', 'listen: "localhost:99999" is no address'],
    ['store: postgres://x', 'store: write sqlite, or a URL such as postgres://'],
    ['shared: memcached://x', 'shared: must be none, or the address of a Redis'],
    ['shared: { redis: "http://x" }', 'shared.redis: must be a redis:// or rediss:// address'],
    ['shared: { redis: "redis://x", when_lost: maybe }', 'shared.when_lost: must be open or closed'],
    ['shared: { redis: "redis://x", prefix: "a b" }', 'shared.prefix: must be up to 64 letters'],
    ['log: { levl: info }', 'log.levl: unknown key "levl"; did you mean "level"?'],
    ['keys: {}', 'keys: must be a list'],
    ['providers: { openai: { key: "" } }', 'providers.openai.key: the secret is empty'],
    ['providers: { openai: { key: "${E}" } }', 'providers.openai.key: the secret is empty'],
    ['providers: { openai: { keys: [a, ""] } }', 'providers.openai.keys[1]: the secret is empty'],
    ['providers: { openai: { key: a, keys: [b] } }', 'providers.openai.key: key and keys are both given'],
    ['providers: { openai: {} }', 'providers.openai: has no key, and OPENAI_API_KEY is not set'],
    [
      'providers: { opnai: { key: a } }',
      'in the catalogue, and one of your own needs speaks; did you mean "openai"?',
    ],
    ['providers: { acme: { speaks: openai-chat } }', 'needs url'],
    [
      'providers: { acme: { speaks: klingon, url: "http://a/v1" } }',
      'must be a dialect: openai-chat, anthropic-messages',
    ],
    [
      'providers: { acme: { speaks: openai-chat, url: "ftp://a" } }',
      'must be an http:// or https:// address',
    ],
    ['providers: { a/b: { speaks: openai-chat, url: "http://a" } }', '"a/b" is no provider name'],
    [
      'providers: { mock: }\nmodels: { a: groq/x }',
      'no provider "groq"; add groq: { key: "${GROQ_API_KEY}" } under providers:',
    ],
    ['models: { a: mock/ }', '"mock/" names no model'],
    ['models: { a: 3 }', 'models.a: must be provider/model'],
    ['models: { a: "" }', 'models.a: is empty'],
    ['models: { a: { fallback: [] } }', 'needs at least one route'],
    [
      'models: { a: { fallback: [mock/x], split: [{ to: mock/x, weight: 1 }] } }',
      'must name exactly one strategy',
    ],
    [
      'models: { a: { split: [{ to: mock/x, weight: 0 }] } }',
      'models.a.split[0].weight: must be a number above 0',
    ],
    ['models: { a: { split: [{ to: mock/x, weight: -1 }] } }', 'must be a number above 0'],
    ['models: { a: { split: [{ to: mock/x }] } }', 'models.a.split[0].weight: is missing'],
    [
      'models: { a: { split: [{ to: { ensemble: [] }, weight: 1 }] } }',
      'the strategy "ensemble" is not available yet',
    ],
    [
      'models: { a: b, b: { fallback: [mock/x, a] } }',
      'models.b.fallback[1]: the route leads back to itself: a → b → a',
    ],
    ['models: { a: a }', 'models.a: the route leads back to itself: a → a'],
    [
      'keys: [{ name: a, key: k, team: web }]\nteams: { wbe: {} }',
      'keys[0].team: no team "web"; did you mean "wbe"?',
    ],
    ['keys: [{ name: a, key: k }, { name: a, key: l }]', 'keys[1].name: keys[0] has the name "a" already'],
    ['keys: [{ name: a, key: k }, { name: b, key: k }]', 'keys[1].key: keys[0] has the same secret already'],
    ['keys: [{ name: a }]', 'keys[0].key: is missing'],
    [
      'keys: [{ name: a, key: k, models: [fats] }]\nmodels: { fast: mock/x }',
      'no model "fats"; did you mean "fast"?',
    ],
    ['keys: [{ name: a, key: k, models: ["m*k/x"] }]', 'a * may only stand at the end'],
    ['keys: [{ name: a, key: k, expires: someday }]', 'must be a date'],
    ['teams: { t: { limits: [{ usd: -5, per: day }] } }', 'must be an amount above 0'],
    ['teams: { t: { limits: [{ usd: 1e12, per: day }] } }', 'at most 9000000'],
    ['teams: { t: { limits: [{ requests: 1.5, per: day }] } }', 'must be a whole number'],
    ['teams: { t: { limits: [{ requests: 5 }] } }', 'needs a window; add per: minute'],
    ['teams: { t: { limits: [{ concurrency: 5, per: day }] } }', 'concurrency has no window'],
    [
      'teams: { t: { limits: [{ usd: 1, requests: 5, per: day }] } }',
      'exactly one of requests, tokens, usd, concurrency',
    ],
    [
      'teams: { t: { limits: [{ usd: 1, per: year }] } }',
      'must be second, minute, hour, day, week, month or lifetime',
    ],
    [
      'organisations: { shp: {} }\nteams: { t: { organisation: shop } }',
      'no team belongs to "shp"; did you mean "shop"?',
    ],
    ['prices: { acme: { input: 1, output: 1 } }', '"acme" is no target'],
    ['prices: { mock/x: { input: 1 } }', 'output: is missing'],
    ['prices: { mock/x: { input: "", output: 1 } }', 'input: must be USD per million tokens'],
    [
      'prices: { mock/x: { input: 1, output: 1, cached: 1, cache_read: 1 } }',
      'cached and cache_read are the same',
    ],
  ];
  for (const [text, mistake] of cases) {
    test(`${text.replaceAll('\n', ' · ')} → ${mistake}`, () => {
      const mistakes = mistakesOf(text, { E: '' });
      expect(mistakes).toHaveLength(1);
      expect(mistakes[0]).toContain(mistake);
    });
  }

  test('references of an entry that is wrong elsewhere are looked at all the same', () => {
    const mistakes = mistakesOf('keys: [{ name: a, key: k, team: web, limits: [{ usd: 0, per: day }] }]');
    expect(mistakes.map((line) => line.split('  ')[1]?.split(':')[0])).toEqual([
      'keys[0].team',
      'keys[0].limits[0].usd',
    ]);
  });

  test('never repeat a secret', () => {
    const secret = 'sk-very-secret';
    const text = `providers: { openai: { key: ${secret}, keys: ${secret} } }\nkeys: [{ name: a, key: ${secret} }, { name: a, key: ${secret} }]`;
    expect(mistakesOf(text).join('\n')).not.toContain(secret);
  });
});

describe('without a file', () => {
  test('every provider whose usual variable is set is on, and mock always', () => {
    const { providers } = configFromEnvironment({
      OPENAI_API_KEY: 'o',
      PPLX_API_KEY: 'p',
      ANTHROPIC_API_KEY: '',
    });
    expect(providers).toMatchObject({ mock: {}, openai: { keys: ['o'] }, perplexity: { keys: ['p'] } });
    expect(Object.keys(providers ?? {})).toEqual(['mock', 'openai', 'perplexity']);
  });

  const hosts: [host: string, url: string][] = [
    ['gpu:9000', 'http://gpu:9000'],
    ['gpu', 'http://gpu:11434'],
    ['0.0.0.0', 'http://127.0.0.1:11434'],
    ['https://ollama.example.com', 'https://ollama.example.com'],
    ['http://gpu/ollama/v1/', 'http://gpu/ollama/v1'],
  ];
  for (const [host, url] of hosts) {
    test(`OLLAMA_HOST=${host} switches ollama on at ${url}`, () => {
      expect(configFromEnvironment({ OLLAMA_HOST: host }).providers?.ollama?.url).toBe(url);
    });
  }
});

describe('what organisations pay', () => {
  const pricingOf = (pricing: string) =>
    readConfig(`teams: { a: { organisation: shop } }\norganisations: { shop: { pricing: ${pricing} } }`, {});

  test.each([
    ['{ markup: 20% }', 1_200_000],
    ['{ markup: 12.5% }', 1_125_000],
    ['{ discount: 0.0001% }', 999_999],
    ['{ discount: 100% }', 0],
  ])('%s', (pricing, ppm) => {
    const { config } = pricingOf(pricing);
    expect(compile(config!, { version: 1 }).organisations!.get('shop')!.sellPpm).toBe(ppm);
  });

  test.each([
    '{ markup: 0.2 }',
    '{ markup: -5% }',
    '{ markup: 901% }',
    '{ discount: 101% }',
    '{}',
    '{ markup: 1%, discount: 1% }',
  ])('%s is a mistake', (pricing) => {
    const { config, mistakes } = pricingOf(pricing);
    expect(config).toBeUndefined();
    expect(mistakes).toHaveLength(1);
  });
});
