/** Clouds over real sockets: the exact URL, headers and body each of them gets, signatures, and tokens that are fetched. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createHash, createHmac, createVerify, generateKeyPairSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BedrockRuntimeClient, InvokeModelCommand } from '@aws-sdk/client-bedrock-runtime';
import { forced, relayOnly, startGateway, type TestGateway, until } from './gateway.ts';
import { type Asked, type FakeHost, startHost } from './host.ts';

const hello = [{ role: 'user' as const, content: 'Hello' }];
const claude = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

let host: FakeHost;
let gateway: TestGateway;

/** A service account's key, and what proves that an assertion was signed with it. */
const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const credentials = join(tmpdir(), `sluice-service-account-${process.pid}.json`);

function writeCredentials(tokenUri: string): void {
  const account = {
    type: 'service_account',
    project_id: 'p-1',
    private_key_id: 'kid',
    private_key: privateKey,
    client_email: 'sluice@p-1.iam.gserviceaccount.com',
    token_uri: tokenUri,
  };
  writeFileSync(credentials, JSON.stringify(account));
}

const aws = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret/with+signs', sessionToken: 'session==' };

function configuration(url: string): string {
  const signed = `region: eu-west-1, access_key_id: ${aws.accessKeyId}, secret_access_key: ${aws.secretAccessKey}`;
  const service = `url: "${url}", project: p-1, location: us-east5, credentials: "${credentials}"`;
  return `
providers:
  mock:
  azure: { url: "${url}", key: az }
  azure-old: { like: azure, url: "${url}/openai/v1", key: az, api_version: 2024-10-21 }
  azure-anthropic: { url: "${url}/anthropic", key: foundry }
  vertex: { url: "${url}", project: p-1, key: ya29.ready, auth: bearer }
  vertex-key: { like: vertex, url: "${url}", key: AIza }
  vertex-service: { like: vertex, ${service} }
  vertex-slow: { like: vertex, ${service}, timeout: { first_byte: 900ms } }
  bedrock: { url: "${url}", ${signed}, session_token: "${aws.sessionToken}" }
  bedrock-key: { like: bedrock, url: "${url}", region: eu-west-1, key: bearer-key }
  mantle: { like: bedrock-mantle, url: "${url}", ${signed} }
  apim: { speaks: openai-chat, url: "${url}/apim/{model}?api-version=1", key: sub, auth: api-key }
models:
  safe: { fallback: [vertex-service/claude-opus-4-8, mock/echo] }
`;
}

beforeAll(async () => {
  host = startHost();
  writeCredentials(`${host.url}/token`);
  gateway = await startGateway(configuration(host.url));
});

afterAll(async () => {
  await gateway.stop();
  await host.stop();
  rmSync(credentials, { force: true });
});

beforeEach(() => {
  host.answer = undefined;
});

const askClaude = (model: string, on = gateway) =>
  on.anthropic.messages.create({ model, max_tokens: 100, messages: hello });
const streamClaude = (model: string) =>
  gateway.anthropic.messages.stream({ model, max_tokens: 100, messages: hello }).finalMessage();
const askChat = (model: string) => gateway.openai.chat.completions.create({ model, messages: hello });

describe('Azure', () => {
  test('v1: the deployment in the body, the key as api-key', async () => {
    const answer = await askChat('azure/my-gpt-4o');
    expect(answer.choices[0]?.message.content).toBe('Hi.');
    const { method, path, headers, body } = host.last();
    expect([method, path]).toEqual(['POST', '/openai/v1/chat/completions']);
    expect(headers.get('api-key')).toBe('az');
    expect(headers.get('authorization')).toBeNull();
    expect(body).toMatchObject({ model: 'my-gpt-4o', messages: hello });
  });

  test.each([false, true])(
    'URLs of deployments with the version in the query (stream: %p)',
    async (stream) => {
      const wish = { model: 'azure-old/my gpt', messages: hello };
      if (stream) await gateway.openai.chat.completions.stream(wish).finalChatCompletion();
      else await gateway.openai.chat.completions.create(wish);
      expect(host.last().path).toBe('/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21');
    },
  );

  test('Claude in Foundry is asked as Anthropic is', async () => {
    const answer = await askClaude('azure-anthropic/claude-opus-4-8');
    expect(answer.content).toMatchObject([{ type: 'text', text: 'Hi.' }]);
    const { path, headers, body } = host.last();
    expect(path).toBe('/anthropic/v1/messages');
    expect(headers.get('x-api-key')).toBe('foundry');
    expect(headers.get('anthropic-version')).toBe('2023-06-01');
    expect(body.model).toBe('claude-opus-4-8');
  });

  test('a gateway in between: the model and a query in its URL', async () => {
    await askChat('apim/a/b');
    expect(host.last().path).toBe('/apim/a%2Fb/chat/completions?api-version=1');
    expect(host.last().headers.get('api-key')).toBe('sub');
  });
});

describe('Vertex AI', () => {
  const base = '/v1/projects/p-1/locations/global/publishers/anthropic/models';

  test('Claude: model in the path, version in the body, whoever asks', async () => {
    for (const ask of [askClaude, askChat]) {
      await ask('vertex/claude-sonnet-4-5@20250929');
      const { path, headers, body } = host.last();
      expect(path).toBe(`${base}/claude-sonnet-4-5@20250929:rawPredict`);
      expect(headers.get('authorization')).toBe('Bearer ya29.ready');
      expect(body).toMatchObject({ anthropic_version: 'vertex-2023-10-16' });
      expect(Object.keys(body)).not.toContain('model');
      expect(JSON.stringify(body.messages)).toInclude('Hello');
    }
  });

  test('Claude: streams have a path of their own and say so in the body too', async () => {
    const answer = await streamClaude('vertex/claude-opus-4-8');
    expect(answer.content).toMatchObject([{ type: 'text', text: 'Hi.' }]);
    expect(host.last().path).toBe(`${base}/claude-opus-4-8:streamRawPredict`);
    expect(host.last().body.stream).toBe(true);
    const translated = await gateway.openai.chat.completions
      .stream({ model: 'vertex/claude-opus-4-8', messages: hello })
      .finalChatCompletion();
    expect(translated.choices[0]?.message.content).toBe('Hi.');
    expect(host.last().path).toBe(`${base}/claude-opus-4-8:streamRawPredict`);
  });

  relayOnly('beta features stay in their header', async () => {
    const betas = { headers: { 'anthropic-beta': 'one-2025-01-01,two-2025-01-01' } };
    await gateway.anthropic.messages.create(
      { model: 'vertex/claude-opus-4-8', max_tokens: 10, messages: hello },
      betas,
    );
    expect(host.last().headers.get('anthropic-beta')).toBe('one-2025-01-01,two-2025-01-01');
    expect(host.last().body.anthropic_beta).toBeUndefined();
  });

  test('Gemini: with a project by a token, without one by an API key', async () => {
    await askChat('vertex/gemini-2.5-flash');
    expect(host.last().path).toBe(
      '/v1beta1/projects/p-1/locations/global/publishers/google/models/gemini-2.5-flash:generateContent',
    );
    expect(host.last().headers.get('authorization')).toBe('Bearer ya29.ready');
    await askChat('vertex-key/gemini-2.5-flash');
    expect(host.last().path).toBe('/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent');
    expect(host.last().headers.get('x-goog-api-key')).toBe('AIza');
    expect(host.last().headers.get('authorization')).toBeNull();
  });

  test('open models by their publisher', async () => {
    await askChat('vertex/meta/llama-4-scout-17b-16e-instruct-maas');
    expect(host.last().path).toBe('/v1/projects/p-1/locations/global/endpoints/openapi/chat/completions');
    expect(host.last().body.model).toBe('meta/llama-4-scout-17b-16e-instruct-maas');
  });

  test('a name in a path cannot lead elsewhere', async () => {
    await askClaude('vertex/claude/../../x?y=z#\r\nevil: 1');
    expect(host.last().path).toBe(`${base}/claude%2F..%2F..%2Fx%3Fy%3Dz%23%0D%0Aevil%3A%201:rawPredict`);
    expect(host.last().headers.get('evil')).toBeNull();
  });

  test('a refusal in the words of the cloud becomes one of the dialect', async () => {
    const refusal = { error: { code: 404, message: 'Publisher Model was not found.', status: 'NOT_FOUND' } };
    host.answer = () => Response.json(refusal, { status: 404 });
    const response = await gateway.post('/v1/messages', {
      model: 'vertex/claude-opus-4-8',
      max_tokens: 10,
      messages: hello,
    });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      type: 'error',
      error: { type: 'not_found_error', message: 'Publisher Model was not found.' },
    });
  });
});

describe("Google's tokens", () => {
  const tokensAsked = () => host.requests.filter(({ path }) => path === '/token').length;
  const grant = (token: string, seconds = 3600) =>
    Response.json({ access_token: token, expires_in: seconds, token_type: 'Bearer' });
  /** Answers the token server's part; the rest as usual. */
  const tokens = (answer: (asked: Asked) => Response | Promise<Response>) => {
    host.answer = (asked) => (asked.path === '/token' ? answer(asked) : undefined);
  };
  /** A gateway that has no token yet. */
  async function withFresh(run: (fresh: TestGateway) => Promise<void>): Promise<void> {
    const fresh = await startGateway(configuration(host.url));
    try {
      await run(fresh);
    } finally {
      await fresh.stop();
    }
  }
  const model = 'vertex-service/claude-opus-4-8';

  test('are asked for by a signed assertion, once for all calls, and kept', async () => {
    await withFresh(async (fresh) => {
      const before = tokensAsked();
      tokens(async () => {
        await Bun.sleep(50);
        return grant('ya29.fetched');
      });
      const answers = await Promise.all(Array.from({ length: 12 }, () => askClaude(model, fresh)));
      expect(answers).toHaveLength(12);
      expect(tokensAsked() - before).toBe(1);
      await askClaude(model, fresh);
      expect(tokensAsked() - before).toBe(1);
      expect(host.last().headers.get('authorization')).toBe('Bearer ya29.fetched');
      expect(host.last().path).toStartWith(
        '/v1/projects/p-1/locations/us-east5/publishers/anthropic/models/',
      );

      const form = new URLSearchParams(
        new TextDecoder().decode(host.requests.find(({ path }) => path === '/token')!.bytes),
      );
      expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
      const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
      expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
        iss: 'sluice@p-1.iam.gserviceaccount.com',
        scope: 'https://www.googleapis.com/auth/cloud-platform',
      });
      const verify = createVerify('RSA-SHA256').update(`${header}.${claims}`);
      expect(verify.verify(publicKey, signature, 'base64url')).toBe(true);
    });
  });

  test('are renewed before they end, without a call having to wait', async () => {
    await withFresh(async (fresh) => {
      tokens(() => grant('first', 120));
      await askClaude(model, fresh);
      const { promise, resolve } = Promise.withResolvers<Response>();
      tokens(() => promise);
      await askClaude(model, fresh);
      expect(host.requests.findLast(({ path }) => path !== '/token')?.headers.get('authorization')).toBe(
        'Bearer first',
      );
      resolve(grant('second'));
      await Bun.sleep(50);
      await askClaude(model, fresh);
      expect(host.last().headers.get('authorization')).toBe('Bearer second');
    });
  });

  test('that are refused let another target answer, and tell the operator rather than the client', async () => {
    await withFresh(async (fresh) => {
      tokens(() => Response.json({ error: 'invalid_grant', error_description: 'Bad key.' }, { status: 400 }));
      const answer = await askClaude('safe', fresh);
      expect(answer.content).toMatchObject([{ type: 'text', text: 'Hello' }]);
      const failure = await askClaude(model, fresh).catch((error) => error);
      expect(failure.status).toBe(502);
      expect(failure.message).toInclude('Its operator has to mend that');
      const rows = await fresh.attempts();
      expect(rows.map(({ outcome }) => outcome)).toEqual(['upstream_auth', 'ok', 'upstream_auth']);
    });
  });

  test('that cannot be had are a network failure', async () => {
    writeCredentials('http://127.0.0.1:9/token');
    try {
      await withFresh(async (fresh) => {
        const answer = await askClaude('safe', fresh);
        expect(answer.content).toMatchObject([{ type: 'text', text: 'Hello' }]);
        expect((await fresh.attempts()).map(({ outcome }) => outcome)).toEqual(['upstream_network', 'ok']);
      });
    } finally {
      writeCredentials(`${host.url}/token`);
    }
  });

  test('whose file has gone, or is none, are a failure like any other; put right, it works again', async () => {
    await withFresh(async (fresh) => {
      for (const spoil of [() => rmSync(credentials), () => writeFileSync(credentials, '{')]) {
        spoil();
        const failure = await askClaude(model, fresh).catch((error) => error);
        expect(failure.status).toBe(502);
        expect(failure.message).not.toInclude(credentials);
      }
      writeCredentials(`${host.url}/token`);
      tokens(() => grant('mended'));
      await askClaude(model, fresh);
      expect(host.last().headers.get('authorization')).toBe('Bearer mended');
    });
  });

  test('that do not come are not waited for beyond the time of the call, nor when the client leaves', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    tokens(() => promise.then(() => grant('late')));
    const started = performance.now();
    const slow = await askClaude('vertex-slow/claude-opus-4-8').catch((error) => error);
    expect(slow.status).toBe(504);
    expect(performance.now() - started).toBeLessThan(5000);
    const leave = new AbortController();
    const gone = gateway.anthropic.messages
      .create({ model, max_tokens: 10, messages: hello }, { signal: leave.signal })
      .catch((error) => error);
    await Bun.sleep(100);
    leave.abort();
    await gone;
    await until(() => gateway.app.gateway.inflight.count === 0);
    resolve();
    const outcomes = (await gateway.attempts()).map(({ outcome }) => outcome);
    expect(outcomes).toContain('upstream_timeout');
    expect(outcomes).toContain('cancelled');
  });
});

describe('Amazon Bedrock', () => {
  test('Claude: nothing in the body that the path says, and a signature over it', async () => {
    for (const ask of [askClaude, askChat]) {
      await ask(`bedrock/${claude}`);
      const { path, headers, body } = host.last();
      expect(path).toBe('/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke');
      expect(body).toMatchObject({ anthropic_version: 'bedrock-2023-05-31' });
      expect(Object.keys(body)).not.toContain('model');
      expect(Object.keys(body)).not.toContain('stream');
      expect(headers.get('x-amz-security-token')).toBe(aws.sessionToken);
      expect(signatureOf(host.last(), 'bedrock')).toEqual({
        given: expect.any(String),
        signed: expect.arrayContaining(['host', 'x-amz-date', 'x-amz-security-token']),
      });
    }
  });

  test('a stream of binary frames becomes one of events', async () => {
    const answer = await streamClaude(`bedrock/${claude}`);
    expect(answer).toMatchObject({ content: [{ type: 'text', text: 'Hi.' }], usage: { input_tokens: 3 } });
    const { path, body } = host.last();
    expect(path).toEndWith('/invoke-with-response-stream');
    expect(Object.keys(body)).not.toContain('stream');
    verifySignature(host.last(), 'bedrock');
    const translated = await gateway.openai.chat.completions
      .stream({ model: `bedrock/${claude}`, messages: hello })
      .finalChatCompletion();
    expect(translated.choices[0]?.message.content).toBe('Hi.');
  });

  test.each([false, true])('beta features are a member of the body there (stream: %p)', async (stream) => {
    const wish = { model: `bedrock/${claude}`, max_tokens: 10, messages: hello, stream };
    const betas = { 'anthropic-beta': 'one-2025-01-01, two-2025-01-01' };
    await (await gateway.post('/v1/messages', wish, betas)).text();
    expect(host.last().body.anthropic_beta).toEqual(['one-2025-01-01', 'two-2025-01-01']);
    expect(host.last().headers.get('anthropic-beta')).toBeNull();
    verifySignature(host.last(), 'bedrock');
  });

  test('other models by Converse, signed too', async () => {
    const answer = await askChat('bedrock/amazon.nova-lite-v1:0');
    expect(answer.choices[0]?.message.content).toBe('Hi.');
    expect(host.last().path).toBe('/model/amazon.nova-lite-v1%3A0/converse');
    verifySignature(host.last(), 'bedrock');
  });

  test('names with signs and letters of other scripts are signed as they are sent', async () => {
    for (const name of [
      "claude-(a)'b*!",
      'claude ü/+&=~',
      'arn:aws:bedrock:us-east-1:1:inference-profile/claude',
    ]) {
      await askClaude(`bedrock/${name}`);
      verifySignature(host.last(), 'bedrock');
    }
  });

  test('an API key is a bearer token, and nothing is signed', async () => {
    await askClaude(`bedrock-key/${claude}`);
    expect(host.last().headers.get('authorization')).toBe('Bearer bearer-key');
    expect(host.last().headers.get('x-amz-date')).toBeNull();
  });

  test('Mantle is signed for under its own name, at the paths of the dialects', async () => {
    await askClaude('mantle/anthropic.claude-opus-4-8');
    expect(host.last().path).toBe('/anthropic/v1/messages');
    expect(host.last().body.model).toBe('anthropic.claude-opus-4-8');
    verifySignature(host.last(), 'bedrock-mantle');
    await askChat('mantle/openai.gpt-oss-120b');
    expect(host.last().path).toBe('/v1/chat/completions');
    verifySignature(host.last(), 'bedrock-mantle');
  });

  test('a refusal in its own words becomes one of the dialect', async () => {
    host.answer = () =>
      Response.json(
        { message: 'The security token included in the request is invalid.' },
        { status: 403, headers: { 'x-amzn-errortype': 'UnrecognizedClientException' } },
      );
    const response = await gateway.post('/v1/messages', {
      model: `bedrock/${claude}`,
      max_tokens: 10,
      messages: hello,
    });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ type: 'error', error: { type: 'api_error' } });
  });

  test("the check of signatures itself accepts those of Amazon's own SDK, and no others", async () => {
    const asked = await signedBySdk();
    verifySignature(asked, 'bedrock');
    const forged = { ...asked, bytes: new TextEncoder().encode('{"max_tokens":1}') };
    expect(() => verifySignature(forged, 'bedrock')).toThrow();
  });

  /** The same call as the official client makes it, caught before it is sent. */
  async function signedBySdk(): Promise<Asked> {
    let caught: Asked | undefined;
    const client = new BedrockRuntimeClient({
      region: 'eu-west-1',
      credentials: aws,
      endpoint: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
      maxAttempts: 1,
      requestHandler: {
        handle: (request: HttpRequest) => {
          const bytes =
            typeof request.body === 'string' ? new TextEncoder().encode(request.body) : request.body;
          caught = {
            method: request.method,
            path: request.path,
            headers: new Headers(request.headers),
            bytes,
            body: {},
          };
          throw new Error('caught');
        },
      },
    });
    const command = new InvokeModelCommand({
      modelId: claude,
      body: '{"max_tokens":10}',
      contentType: 'application/json',
    });
    await client.send(command).catch(() => {});
    return caught!;
  }
});

test.skipIf(forced)(
  'usual calls are not held up: no promise is made for keys that need no signature',
  async () => {
    const { keys } = gateway.app.snapshot().providers.get('azure')!;
    expect(keys[0]).toEqual({ id: 'azure#1', header: ['api-key', 'az'] });
  },
);

/** What the official client hands to what sends it. */
interface HttpRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array;
}

function verifySignature(asked: Asked, service: string): void {
  const { given, made } = computeSignature(asked, service);
  expect(given).toBe(made);
}

function signatureOf(asked: Asked, service: string): { given: string; signed: string[] } {
  verifySignature(asked, service);
  const { given, signed } = computeSignature(asked, service);
  return { given, signed };
}

/**
 * The signature a request has, and the one it ought to have, worked out from the specification alone.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
function computeSignature({ method, path, headers, bytes }: Asked, service: string) {
  const authorization = headers.get('authorization') ?? '';
  const [, scope = '', names = '', given = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)$/.exec(authorization) ??
    [];
  const signed = names.split(';');
  const [accessKeyId, day = '', region = '', ...rest] = scope.split('/');
  const date = headers.get('x-amz-date') ?? '';
  expect([accessKeyId, day, region, ...rest]).toEqual([
    aws.accessKeyId,
    date.slice(0, 8),
    'eu-west-1',
    service,
    'aws4_request',
  ]);
  const encode = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  const canonical = [
    method,
    path.split('/').map(encode).join('/'),
    '',
    ...signed.map((name) => `${name}:${(headers.get(name) ?? '').trim()}`),
    '',
    names,
    createHash('sha256').update(bytes).digest('hex'),
  ].join('\n');
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const key = [region, service, 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${aws.secretAccessKey}`, day));
  const digest = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', date, [day, region, service, 'aws4_request'].join('/'), digest].join(
    '\n',
  );
  return { given, signed, made: hmac(key, text).toString('hex') };
}
