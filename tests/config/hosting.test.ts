/** Clouds: where each dialect is spoken there, what is changed in a request, and what is missing to call them. */
import { afterAll, describe, expect, test } from 'bun:test';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../src/config/compile.ts';
import { configFromEnvironment, type Env, readConfig } from '../../src/config/load.ts';
import { formatMistakes } from '../../src/config/mistakes.ts';
import type { Endpoint, Snapshot, Target } from '../../src/config/snapshot.ts';

const credentials = join(tmpdir(), `sluice-credentials-${process.pid}.json`);
writeFileSync(credentials, '{}');
afterAll(() => rmSync(credentials));

function snapshotOf(text: string, env: Env = {}): Snapshot {
  const { config, mistakes } = readConfig(text, env);
  expect(formatMistakes('', mistakes)).toBe('');
  return compile(config!, { version: 1 });
}

function targetOf(snapshot: Snapshot, model: string): Target {
  const route = snapshot.resolve(model);
  if (route?.type !== 'target') throw new Error(`${model} is no single target`);
  return route.target;
}

/** Where a chat call in one dialect goes, whole and streamed. */
function urlsOf(snapshot: Snapshot, model: string, dialect: string): [whole: string, stream: string] {
  const endpoint = endpointOf(snapshot, model, dialect);
  const name = model.slice(model.indexOf('/') + 1);
  return [endpoint.base + endpoint.path(name, false), endpoint.base + endpoint.path(name, true)];
}

function endpointOf(snapshot: Snapshot, model: string, dialect: string): Endpoint {
  const endpoint = targetOf(snapshot, model).endpoints.find((each) => each.dialect.name === dialect);
  if (endpoint === undefined) throw new Error(`${model} is not asked in ${dialect}`);
  return endpoint;
}

const headerOf = (snapshot: Snapshot, provider: string) => snapshot.providers.get(provider)?.keys[0]?.header;

describe('Azure OpenAI', () => {
  test('the v1 API', () => {
    const snapshot = snapshotOf('providers: { azure: { resource: my-res, key: k } }');
    const url = 'https://my-res.openai.azure.com/openai/v1/chat/completions';
    expect(urlsOf(snapshot, 'azure/gpt-4o', 'openai-chat')).toEqual([url, url]);
    expect(headerOf(snapshot, 'azure')).toEqual(['api-key', 'k']);
  });

  test('URLs of deployments, where a dated version is named', () => {
    const snapshot = snapshotOf(
      'providers: { azure: { resource: my-res, key: k, api_version: 2024-10-21 } }',
    );
    const [whole, stream] = urlsOf(snapshot, 'azure/My Deployment', 'openai-chat');
    expect(whole).toBe(
      'https://my-res.openai.azure.com/openai/deployments/My%20Deployment/chat/completions?api-version=2024-10-21',
    );
    expect(stream).toBe(whole);
  });

  test('the address of a server, however far down it leads', () => {
    for (const path of ['', '/', '/openai', '/openai/v1/']) {
      const snapshot = snapshotOf(
        `providers: { azure: { url: "https://r.services.ai.azure.com${path}", key: k } }`,
      );
      expect(urlsOf(snapshot, 'azure/grok-4', 'openai-chat')[0]).toBe(
        'https://r.services.ai.azure.com/openai/v1/chat/completions',
      );
    }
  });

  test('a token of Entra ID is a bearer token', () => {
    const snapshot = snapshotOf('providers: { azure: { resource: r, key: token, auth: bearer } }');
    expect(headerOf(snapshot, 'azure')).toEqual(['authorization', 'Bearer token']);
  });

  test('Claude in Foundry', () => {
    const snapshot = snapshotOf('providers: { azure-anthropic: { resource: my-res, key: k } }');
    expect(urlsOf(snapshot, 'azure-anthropic/claude-opus-4-8', 'anthropic-messages')[0]).toBe(
      'https://my-res.services.ai.azure.com/anthropic/v1/messages',
    );
    expect(headerOf(snapshot, 'azure-anthropic')).toEqual(['x-api-key', 'k']);
    expect(
      endpointOf(snapshot, 'azure-anthropic/claude-opus-4-8', 'anthropic-messages').edits,
    ).toBeUndefined();
  });
});

describe('Vertex AI', () => {
  const vertex = (more = '') =>
    snapshotOf(`providers: { vertex: { project: p-1, credentials: "${credentials}"${more} } }`);
  const claude = 'vertex/claude-sonnet-4-5@20250929';

  test('Claude: the model in the path and not in the body, where the version is', () => {
    const base = 'https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/anthropic';
    expect(urlsOf(vertex(), claude, 'anthropic-messages')).toEqual([
      `${base}/models/claude-sonnet-4-5@20250929:rawPredict`,
      `${base}/models/claude-sonnet-4-5@20250929:streamRawPredict`,
    ]);
    const { edits, framing } = endpointOf(vertex(), claude, 'anthropic-messages');
    expect(Object.entries(edits ?? {})).toEqual([
      ['model', undefined],
      ['anthropic_version', '"vertex-2023-10-16"'],
    ]);
    expect(framing).toBe('sse');
    expect(targetOf(vertex(), claude).endpoints).toHaveLength(1);
  });

  test.each([
    ['global', 'aiplatform.googleapis.com'],
    ['us-east5', 'us-east5-aiplatform.googleapis.com'],
    ['us', 'aiplatform.us.rep.googleapis.com'],
    ['eu', 'aiplatform.eu.rep.googleapis.com'],
  ])('the location %s is at %s', (location, host) => {
    const { base } = endpointOf(vertex(`, location: ${location}`), claude, 'anthropic-messages');
    expect(base).toBe(`https://${host}/v1/projects/p-1/locations/${location}/publishers/anthropic`);
  });

  test('open models by their publisher, Mistral by its own endpoint', () => {
    expect(urlsOf(vertex(), 'vertex/meta/llama-4-scout-17b-16e-instruct-maas', 'openai-chat')[0]).toBe(
      'https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/endpoints/openapi/chat/completions',
    );
    expect(urlsOf(vertex(), 'vertex/mistral-medium-3', 'openai-chat')[1]).toBe(
      'https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/mistralai/models/mistral-medium-3:streamRawPredict',
    );
  });

  test('calls carry a token that is fetched when needed', () => {
    const [key] = vertex().providers.get('vertex')?.keys ?? [];
    expect(key).toMatchObject({ id: 'vertex#1', header: undefined, authorise: expect.any(Function) });
  });

  test('an API key means express mode, which has no Claude; a ready token is a bearer token', () => {
    const express = snapshotOf('providers: { vertex: { key: k } }');
    expect(headerOf(express, 'vertex')).toEqual(['x-goog-api-key', 'k']);
    expect([...express.providers.get('vertex')!.speaks]).toMatchObject([
      ['gemini', [{ url: 'https://aiplatform.googleapis.com/v1beta1/publishers/google' }]],
    ]);
    expect(express.resolve('vertex/claude-opus-4-8')).toBeUndefined();
    expect(express.listed.some((model) => model.includes('claude'))).toBe(false);
    const ready = snapshotOf('providers: { vertex: { key: t, auth: bearer, project: p } }');
    expect(headerOf(ready, 'vertex')).toEqual(['authorization', 'Bearer t']);
    expect(ready.resolve('vertex/claude-opus-4-8')).toBeDefined();
  });
});

describe('Amazon Bedrock', () => {
  const env = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 's', AWS_REGION: 'eu-west-1' };
  const claude = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

  test('Claude natively: model and stream in the path, versions in the body', () => {
    const snapshot = snapshotOf('providers: { bedrock: }', env);
    const base = 'https://bedrock-runtime.eu-west-1.amazonaws.com/model';
    expect(urlsOf(snapshot, `bedrock/${claude}`, 'anthropic-messages')).toEqual([
      `${base}/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke`,
      `${base}/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream`,
    ]);
    const endpoint = endpointOf(snapshot, `bedrock/${claude}`, 'anthropic-messages');
    expect(Object.entries(endpoint.edits ?? {})).toEqual([
      ['model', undefined],
      ['stream', undefined],
      ['anthropic_version', '"bedrock-2023-05-31"'],
    ]);
    expect(endpoint).toMatchObject({ framing: 'aws-chunks', lift: { 'anthropic-beta': 'anthropic_beta' } });
    expect(snapshot.providers.get('bedrock')?.keys[0]?.authorise).toBeFunction();
  });

  test('a name that is an ARN stays one part of the path; one of dots is none', () => {
    const snapshot = snapshotOf('providers: { bedrock: }', env);
    const [whole] = urlsOf(
      snapshot,
      `bedrock/arn:aws:bedrock:us-east-1:1:inference-profile/${claude}`,
      'anthropic-messages',
    );
    expect(whole).toInclude('/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.');
    for (const name of ['..', '.', '...']) expect(snapshot.resolve(`bedrock/${name}`)).toBeUndefined();
  });

  test('an API key goes before a key that signs, where both are in the environment', () => {
    const snapshot = snapshotOf('providers: { bedrock: }', { ...env, AWS_BEARER_TOKEN_BEDROCK: 'b' });
    expect(headerOf(snapshot, 'bedrock')).toEqual(['authorization', 'Bearer b']);
    const chosen = snapshotOf('providers: { bedrock: { auth: aws-sigv4 } }', {
      ...env,
      AWS_BEARER_TOKEN_BEDROCK: 'b',
    });
    expect(chosen.providers.get('bedrock')?.keys[0]?.authorise).toBeFunction();
  });

  test('another region beside it, and another server', () => {
    const snapshot = snapshotOf(
      `providers:
  bedrock:
  bedrock-us: { like: bedrock, region: us-east-1 }
  bedrock-vpc: { like: bedrock, url: "https://vpce-1.example.com" }`,
      env,
    );
    const hostOf = (provider: string) =>
      new URL(endpointOf(snapshot, `${provider}/${claude}`, 'anthropic-messages').base).host;
    expect(hostOf('bedrock-us')).toBe('bedrock-runtime.us-east-1.amazonaws.com');
    expect(hostOf('bedrock-vpc')).toBe('vpce-1.example.com');
    expect(targetOf(snapshot, `bedrock-us/${claude}`).price?.rates.input).toBe(3_300_000);
    expect(snapshot.listed).toContain(`bedrock-us/${claude}`);
  });

  test('Mantle has a place for each dialect', () => {
    const snapshot = snapshotOf('providers: { bedrock-mantle: }', env);
    expect(urlsOf(snapshot, 'bedrock-mantle/openai.gpt-oss-120b', 'openai-chat')[0]).toBe(
      'https://bedrock-mantle.eu-west-1.api.aws/v1/chat/completions',
    );
    expect(urlsOf(snapshot, 'bedrock-mantle/anthropic.claude-opus-4-8', 'anthropic-messages')[0]).toBe(
      'https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages',
    );
  });
});

describe('providers of your own', () => {
  test('the model in the URL, and a query that every path gets', () => {
    const snapshot = snapshotOf(
      'providers: { apim: { speaks: openai-chat, key: k, auth: api-key, url: "https://h/a/{model}/?api-version=1&x=%20y" } }',
    );
    expect(urlsOf(snapshot, 'apim/m/1', 'openai-chat')[0]).toBe(
      'https://h/a/m%2F1/chat/completions?api-version=1&x=%20y',
    );
    expect(headerOf(snapshot, 'apim')).toEqual(['api-key', 'k']);
  });

  test('a signature', () => {
    const keysWith = (secret: string) =>
      snapshotOf(
        `providers: { own: { speaks: anthropic-messages, url: "https://h/v1", auth: aws-sigv4, region: us-east-1, access_key_id: a, secret_access_key: ${secret} } }`,
      ).providers.get('own')?.keys;
    const key = { id: 'own#1', header: undefined, authorise: expect.any(Function) };
    expect(keysWith('b')).toEqual([{ ...key, digest: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    // The same after a reload, unless it was replaced.
    const digests = ['b', 'b', 'c'].map((secret) => keysWith(secret)?.[0]?.digest);
    expect(new Set(digests).size).toBe(2);
  });
});

describe('mistakes', () => {
  const cases: [text: string, mistakes: string[]][] = [
    [
      'providers: { azure: { key: k } }',
      [
        'providers.azure: has no resource, and AZURE_RESOURCE_NAME is not set; set it, or write resource: my-resource',
      ],
    ],
    [
      'providers: { vertex: {} }',
      [
        'providers.vertex: has no project, and GOOGLE_CLOUD_PROJECT or GOOGLE_VERTEX_PROJECT or ANTHROPIC_VERTEX_PROJECT_ID is not set; set it, or write project: my-project',
      ],
    ],
    [
      'providers: { bedrock: { region: us-east-1, access_key_id: a } }',
      [
        'providers.bedrock: has no secret_access_key, and AWS_SECRET_ACCESS_KEY is not set; set it, or write secret_access_key: "${VARIABLE}", or key: "${AWS_BEARER_TOKEN_BEDROCK}"',
      ],
    ],
    [
      'providers: { bedrock: { key: k } }',
      [
        'providers.bedrock: has no region, and AWS_REGION or AWS_DEFAULT_REGION is not set; set it, or write region: us-east-1',
      ],
    ],
    [
      'providers: { cloudflare: { key: k } }',
      [
        'providers.cloudflare: has no account, and CLOUDFLARE_ACCOUNT_ID is not set; set it, or write account: my-account',
      ],
    ],
    [
      'providers: { own: { speaks: openai-chat, url: "https://h/{account}", key: k } }',
      ['providers.own: has no account; write account: my-account'],
    ],
    [
      'providers: { own: { speaks: openai-chat, url: "https://h/{deployment}", key: k } }',
      ['providers.own: {deployment} stands for nothing in a URL; write {model}, or what belongs there'],
    ],
    [
      'providers: { openai: { key: k, region: us-east-1 } }',
      ['providers.openai.region: has no use here; remove it'],
    ],
    [
      'providers: { bedrock: { key: k, region: us-east-1, access_key_id: a, secret_access_key: b } }',
      [
        'providers.bedrock.access_key_id: is not used beside a key; keep one of them',
        'providers.bedrock.secret_access_key: is not used beside a key; keep one of them',
      ],
    ],
    [
      'providers: { bedrock: { key: k, auth: aws-sigv4, region: us-east-1, access_key_id: a, secret_access_key: b } }',
      ['providers.bedrock.key: auth: aws-sigv4 takes no key; write access_key_id, or another auth'],
    ],
    [
      'providers: { vertex: { project: p, credentials: /no/such/file.json } }',
      [
        'providers.vertex.credentials: there is no file /no/such/file.json; write the path of a JSON file with credentials',
      ],
    ],
    [
      'providers: { vertex: { project: p, key: k, auth: api-key } }',
      ['providers.vertex.auth: cannot be called with auth: api-key; remove it, or write another'],
    ],
    [
      'providers: { azure: { key: k, resource: "a/b" } }',
      ['providers.azure.resource: is not usable; write, for example, resource: my-resource'],
    ],
    [
      'providers: { azure: { key: k, resource: r, api_version: latest } }',
      ['providers.azure.api_version: is not usable; write, for example, api_version: 2024-10-21'],
    ],
    [
      'providers: { east: { like: azur, resource: r, key: k } }',
      ['providers.east.like: no provider "azur" in the catalogue; did you mean "azure"?'],
    ],
    [
      'providers: { acme: { speaks: openai-chat, url: "http://a", auth: basic } }',
      ['providers.acme.auth: must be bearer, api-key, x-api-key, x-goog-api-key, aws-sigv4 or google'],
    ],
    [
      `providers: { vertex: { project: p } }\nmodels: { a: vertex/text-bison }`,
      [
        'models.a: "vertex/text-bison" is no model that is served there; write, for example, vertex/claude-opus-4-8',
      ],
    ],
  ];
  test.each(cases)('%s', (text, mistakes) => {
    const lines = formatMistakes('f', readConfig(text, {}).mistakes).split('\n');
    expect(lines.map((line) => line.replace(/^f:\d+:\d+ {2}/, ''))).toEqual(mistakes);
  });

  test('whatever is written, nothing but mistakes come of it', () => {
    const values = [
      '3',
      'null',
      '[]',
      '{}',
      '[1, {}]',
      '{ a: 1 }',
      'true',
      '""',
      'x',
      '"https://{region}"',
      '"https://h/{x}"',
    ];
    const members = [
      'like', 'key', 'keys', 'speaks', 'url', 'auth', 'region', 'project', 'location', 'resource', 'account',
      'api_version', 'access_key_id', 'secret_access_key', 'session_token', 'credentials', 'timeout',
    ]; // biome-ignore format: one list
    for (const provider of ['azure', 'bedrock', 'vertex', 'openai', 'own', 'ollama']) {
      for (const member of members) {
        for (const value of values) {
          const { config, mistakes } = readConfig(`providers: { ${provider}: { ${member}: ${value} } }`, {});
          if (config === undefined) expect(mistakes.length).toBeGreaterThan(0);
          else compile(config, { version: 1 });
        }
      }
    }
  });
});

describe('without a file', () => {
  const on = (env: Env): string[] => Object.keys(configFromEnvironment(env).providers ?? {});

  const cases: [env: Record<string, string>, providers: string[]][] = [
    [{ AZURE_OPENAI_API_KEY: 'k' }, ['mock']],
    [{ AZURE_OPENAI_API_KEY: 'k', AZURE_OPENAI_ENDPOINT: 'https://r.openai.azure.com/' }, ['azure', 'mock']],
    [{ AZURE_API_KEY: 'k', AZURE_RESOURCE_NAME: 'r' }, ['azure', 'mock']],
    [{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 's' }, ['mock']],
    [{ AWS_REGION: 'us-east-1' }, ['mock']],
    [{ AWS_ACCESS_KEY_ID: 'a', AWS_REGION: 'us-east-1' }, ['mock']],
    [
      { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 's', AWS_DEFAULT_REGION: 'us-east-1' },
      ['bedrock', 'bedrock-mantle', 'mock'],
    ],
    [{ AWS_BEARER_TOKEN_BEDROCK: 'k', AWS_REGION: 'us-east-1' }, ['bedrock', 'bedrock-mantle', 'mock']],
    [{ AWS_BEARER_TOKEN_BEDROCK: 'k', AWS_REGION: 'no/region' }, ['mock']],
    [{ GOOGLE_APPLICATION_CREDENTIALS: credentials }, ['mock']],
    [{ GOOGLE_CLOUD_PROJECT: 'p' }, ['mock']],
    [{ GOOGLE_APPLICATION_CREDENTIALS: credentials, GOOGLE_CLOUD_PROJECT: 'p' }, ['mock', 'vertex']],
    [{ GOOGLE_VERTEX_API_KEY: 'k' }, ['mock', 'vertex']],
    [{ GOOGLE_API_KEY: 'k' }, ['gemini', 'mock']],
    [{ CO_API_KEY: 'k' }, ['cohere', 'mock']],
    [{ CLOUDFLARE_API_TOKEN: 'k' }, ['mock']],
    [{ CLOUDFLARE_API_TOKEN: 'k', CLOUDFLARE_ACCOUNT_ID: 'abc' }, ['cloudflare', 'mock']],
    [{ OLLAMA_API_KEY: 'k' }, ['mock', 'ollama-cloud']],
  ];
  test.each(cases)('%p', (env, providers) => {
    expect(on(env)).toEqual(providers);
    compile(configFromEnvironment(env), { version: 1 });
  });

  test('what the variables say is where calls go', () => {
    const env = {
      AZURE_OPENAI_API_KEY: 'k',
      AZURE_OPENAI_ENDPOINT: 'https://r.openai.azure.com/',
      OPENAI_API_VERSION: '2024-10-21',
      GOOGLE_APPLICATION_CREDENTIALS: credentials,
      GOOGLE_CLOUD_PROJECT: 'p',
      GOOGLE_CLOUD_LOCATION: 'europe-west1',
    };
    const snapshot = compile(configFromEnvironment(env), { version: 1 });
    expect(urlsOf(snapshot, 'azure/d', 'openai-chat')[0]).toBe(
      'https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21',
    );
    expect(endpointOf(snapshot, 'vertex/claude-opus-4-8', 'anthropic-messages').base).toBe(
      'https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/publishers/anthropic',
    );
  });
});
