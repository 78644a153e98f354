/** What a client did wrong, said in the words of its own dialect, by errors its own SDK knows. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, relayOnly, startGateway, type TestGateway, until } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  gateway = await startGateway(`
body_limit: 64kb
drain: 2s
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
models: { fast: oa/echo }
keys:
  - { name: test, key: ${key} }
  - { name: narrow, key: sk-narrow, models: [fast, "an/*"] }
  - { name: old, key: sk-old, expires: 2020-01-01 }
  - { name: off, key: sk-off, disabled: true }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

type ApiError = InstanceType<typeof OpenAI.APIError>;
type Names =
  | 'BadRequestError'
  | 'AuthenticationError'
  | 'PermissionDeniedError'
  | 'NotFoundError'
  | 'APIError'
  | 'InternalServerError';
const vendors = { openai: OpenAI, anthropic: Anthropic } as const;
type Vendor = keyof typeof vendors;
const paths = { openai: '/v1/chat/completions', anthropic: '/v1/messages' } as const;

const messages = [{ role: 'user' as const, content: 'Hello' }];
const json = (members: object): string => JSON.stringify(members);
const good = { model: 'oa/echo', messages, max_tokens: 10 };

/** The error a promise of an SDK ends with, which has to be of the named class. */
async function failure(vendor: Vendor, name: Names, promise: PromiseLike<unknown>): Promise<ApiError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(vendors[vendor][name]);
  const error = thrown as ApiError;
  expect(error.headers?.get('x-request-id')).toMatch(/^\w{10,}$/);
  expect(error.headers?.get('content-type')).toStartWith('application/json');
  return error;
}

/** The words themselves; Anthropic's SDK shows the whole body as the message. */
function wordsOf(error: ApiError): string {
  const body = error.error as { message?: string; error?: { message: string } } | undefined;
  return body?.error?.message ?? body?.message ?? error.message;
}

/** Posts any body through the SDK. */
function send(
  vendor: Vendor,
  body: string | Uint8Array | ReadableStream,
  headers: Record<string, string> = {},
) {
  const options = { body, headers: { 'content-type': 'application/json', ...headers } };
  return vendor === 'openai'
    ? gateway.openai.post('/chat/completions', options)
    : gateway.anthropic.post('/v1/messages', options);
}

const tools = [{ type: 'function', function: {} }];

/** Body, and what the message has to say. */
const wrongBodies: readonly [what: string, body: string, says: RegExp][] = [
  ['nothing', '', /JSON object: it is empty/],
  ['broken JSON', '{"model":"oa/echo","messages":[', /must be a JSON object.*byte \d+/],
  ['text behind the object', `${json(good)} x`, /must be a JSON object.*byte \d+/],
  ['an array', '[]', /must be a JSON object/],
  ['a string', '"hello"', /must be a JSON object/],
  ['bytes that are no text', '\u0000\u0001', /must be a JSON object/],
  ['no model', json({ ...good, model: undefined }), /"model" is missing: name a model/],
  ['a model that is a number', json({ ...good, model: 5 }), /"model" must be a string/],
  ['a model without a name', json({ ...good, model: '' }), /"model" must not be empty/],
  ['a model named twice', json(good).replace('{', '{"model":"fast",'), /"model" is given twice/],
  ['no messages', json({ ...good, messages: undefined }), /"messages" is missing/],
  ['messages that are text', json({ ...good, messages: 'Hello' }), /"messages" must be an array/],
  ['a stream that is a word', json({ ...good, stream: 'yes' }), /"stream" must be true or false/],
  ['a limit that is a word', json({ ...good, max_tokens: 'many' }), /"max_tokens" must be a whole number/],
  ['a limit below nothing', json({ ...good, max_tokens: -1 }), /"max_tokens" must be a whole number/],
];

describe.each(['openai', 'anthropic'] as const)('through the SDK of %s', (vendor) => {
  describe('a wrong body', () => {
    test.each(wrongBodies)('%s', async (_what, body, says) => {
      const asked = provider.requests.length;
      const error = await failure(vendor, 'BadRequestError', send(vendor, body));
      expect(wordsOf(error)).toMatch(says);
      expect(provider.requests).toHaveLength(asked);
    });

    // What lies deeper is looked at where it has to be translated.
    const other = vendor === 'openai' ? 'an/echo' : 'oa/echo';
    test.each([
      ['a message that is text', { messages: ['Hello'] }, /messages\[0\]/],
      ['a role nobody has', { messages: [{ role: 'king', content: 'x' }] }, /messages\[0\]\.role/],
      ['content that is a number', { messages: [{ role: 'user', content: 5 }] }, /messages\[0\]\.content/],
      [
        'a part without a type',
        { messages: [{ role: 'user', content: [{}] }] },
        /messages\[0\]\.content\[0\]/,
      ],
      ['tools that are text', { tools: 'hammer' }, /tools/],
      ['a tool without a name', { tools: vendor === 'openai' ? tools : [{}] }, /tools\[0\]/],
      ['a temperature that is a word', { temperature: 'hot' }, /temperature/],
    ])('%s', async (_what, members, says) => {
      const error = await failure(
        vendor,
        'BadRequestError',
        send(vendor, json({ ...good, model: other, ...members })),
      );
      expect(wordsOf(error) + error.param).toMatch(says);
    });
  });

  test('a model nobody knows', async () => {
    for (const model of ['nothing', 'nowhere/echo', 'oa', 'oa/']) {
      const error = await failure(vendor, 'NotFoundError', send(vendor, json({ ...good, model })));
      expect(wordsOf(error)).toInclude(`"${model}"`);
      expect(wordsOf(error)).toInclude('/v1/models');
      if (vendor === 'openai') expect(error.code).toBe('model_not_found');
      else expect(error.error).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
    }
  });

  test('a path that does not exist', async () => {
    const nowhere =
      vendor === 'openai' ? gateway.openai.post('/nope', {}) : gateway.anthropic.post('/v1/nope', {});
    const error = await failure(vendor, 'NotFoundError', nowhere);
    expect(wordsOf(error)).toInclude('POST /v1/nope');
    expect(wordsOf(error)).toInclude(paths[vendor]);
  });

  test('a method the path does not take', async () => {
    const get =
      vendor === 'openai' ? gateway.openai.get('/chat/completions') : gateway.anthropic.get('/v1/messages');
    const error = await failure(vendor, 'APIError', get);
    expect(error.status).toBe(405);
    expect(wordsOf(error)).toInclude('takes POST, not GET');
  });

  describe('a key', () => {
    const sdk = (apiKey: string) => {
      const options = { apiKey, maxRetries: 0 };
      const openai = new OpenAI({ ...options, baseURL: `${gateway.url}/v1` });
      const anthropic = new Anthropic({ ...options, baseURL: gateway.url });
      return (model: string) =>
        vendor === 'openai'
          ? openai.chat.completions.create({ model, messages })
          : anthropic.messages.create({ model, messages, max_tokens: 10 });
    };

    test('that is missing', async () => {
      const headers = { authorization: null, 'x-api-key': null };
      const nobody =
        vendor === 'openai'
          ? gateway.openai.chat.completions.create({ model: 'fast', messages }, { headers })
          : gateway.anthropic.messages.create({ model: 'fast', messages, max_tokens: 1 }, { headers });
      const error = await failure(vendor, 'AuthenticationError', nobody);
      expect(wordsOf(error)).toInclude('No API key was sent. Send one as');
    });

    test('that is unknown', async () => {
      const error = await failure(vendor, 'AuthenticationError', sdk('sk-wrong')('fast'));
      expect(wordsOf(error)).toInclude('is not known here');
      expect(wordsOf(error)).not.toInclude('sk-wrong');
    });

    test('that has expired', async () => {
      const error = await failure(vendor, 'AuthenticationError', sdk('sk-old')('fast'));
      expect(wordsOf(error)).toInclude('"old" expired at 2020-01-01');
    });

    test('that is switched off', async () => {
      const error = await failure(vendor, 'AuthenticationError', sdk('sk-off')('fast'));
      expect(wordsOf(error)).toInclude('"off" was revoked or switched off');
    });

    test('that may use other models only', async () => {
      const error = await failure(vendor, 'PermissionDeniedError', sdk('sk-narrow')('oa/echo'));
      expect(wordsOf(error)).toInclude('"narrow" may not use the model "oa/echo". It may use fast, an/*');
      await sdk('sk-narrow')('fast');
      await sdk('sk-narrow')('an/echo');
    });
  });

  describe('a body too large', () => {
    const large = (bytes: number) =>
      json({ ...good, messages: [{ role: 'user', content: 'x'.repeat(bytes) }] });

    test.each([70_000, 3_000_000])('with its length announced (%d bytes)', async (bytes) => {
      const error = await failure(vendor, 'APIError', send(vendor, large(bytes)));
      expect(error.status).toBe(413);
      expect(wordsOf(error)).toInclude('larger than 65536 bytes');
    });

    test('in chunks', async () => {
      const stream = new Blob([large(200_000)]).stream();
      const error = await failure(vendor, 'APIError', send(vendor, stream));
      expect(error.status).toBe(413);
    });

    test('once it is inflated', async () => {
      const bomb = gzipSync(Buffer.alloc(20_000_000, ' '));
      expect(bomb.length).toBeLessThan(65_536);
      const error = await failure(vendor, 'APIError', send(vendor, bomb, { 'content-encoding': 'gzip' }));
      expect(error.status).toBe(413);
    });

    test('and one that just fits', async () => {
      const body = large(0);
      await send(vendor, large(65_536 - body.length));
    });
  });

  describe('a compressed body', () => {
    test('is inflated', async () => {
      await send(vendor, gzipSync(json(good)), { 'content-encoding': 'gzip' });
      expect(provider.requests.at(-1)?.body?.messages).toMatchObject([{ role: 'user' }]);
      expect(provider.requests.at(-1)?.headers['content-encoding']).toBeUndefined();
    });

    test('that is not gzip though it says so', async () => {
      const error = await failure(
        vendor,
        'BadRequestError',
        send(vendor, json(good), { 'content-encoding': 'gzip' }),
      );
      expect(wordsOf(error)).toInclude('does not inflate');
    });

    test('that ends too early', async () => {
      const cut = gzipSync(json(good)).subarray(0, 40);
      await failure(vendor, 'BadRequestError', send(vendor, cut, { 'content-encoding': 'gzip' }));
    });

    test('in an encoding that is not accepted', async () => {
      const error = await failure(vendor, 'APIError', send(vendor, json(good), { 'content-encoding': 'br' }));
      expect(error.status).toBe(415);
      expect(wordsOf(error)).toInclude('"br" is not accepted: send gzip');
    });
  });

  test('tags that cannot be read', async () => {
    const error = await failure(
      vendor,
      'BadRequestError',
      send(vendor, json(good), { 'x-sluice-tags': 'no equals' }),
    );
    expect(wordsOf(error)).toInclude('a=b,c=d');
  });

  const same = vendor === 'openai' ? 'oa' : 'an';
  relayOnly.each(['bad_request', 'context_length', 'content_filter', 'not_found', 'rate_limit', 'server'])(
    "a provider's %s of the same dialect passes verbatim",
    async (kind) => {
      const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
      const ask = json({ ...good, model: `error:${kind}` });
      const direct = await fetch(provider.url + paths[vendor], { method: 'POST', headers, body: ask });
      const through = await gateway.post(paths[vendor], { ...good, model: `${same}/error:${kind}` });
      expect(through.status).toBe(direct.status);
      expect(anonymous(await through.text())).toBe(anonymous(await direct.text()));
    },
  );

  test("a provider's refusal in another dialect is said in the client's", async () => {
    const other = vendor === 'openai' ? 'an' : 'oa';
    const error = await failure(
      vendor,
      'BadRequestError',
      send(vendor, json({ ...good, model: `${other}/error:bad_request` })),
    );
    expect(wordsOf(error)).toInclude('The request is invalid.');
    expect(error.headers?.get('x-sluice-target')).toBe(`${other}/error:bad_request`);
  });
});

test('an Anthropic request without max_tokens is refused, whoever the provider is', async () => {
  for (const model of ['oa/echo', 'an/echo']) {
    const error = await failure('anthropic', 'BadRequestError', send('anthropic', json({ model, messages })));
    expect(wordsOf(error)).toInclude('max_tokens');
  }
});

test('an OpenAI request without a limit is none the worse for it', async () => {
  for (const model of ['oa/echo', 'an/echo'])
    await gateway.openai.chat.completions.create({ model, messages });
});

test('a model name that nobody checked cannot reach another path or host', async () => {
  for (const model of ['oa/../../secret', 'oa//evil.example/x', 'oa/?a=b#c']) {
    const asked = provider.requests.length;
    await gateway.post('/v1/chat/completions', { ...good, model });
    for (const { path } of provider.requests.slice(asked)) expect(path).toBe('/v1/chat/completions');
  }
});

describe.each(['openai', 'anthropic'] as const)('a model name that no header can hold (%s)', (vendor) => {
  const names = ['🦊', 'a\r\nx-evil: 1', 'a\u0000b', '\ud800'];

  test.each(names)('is asked for all the same: %j', async (name) => {
    const response = await gateway.post(paths[vendor], { ...good, model: `oa/echo:as=${name}` });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-sluice-target')).toStartWith('oa/echo:as=');
    expect(response.headers.get('x-evil')).toBeNull();
  });

  test.each(names)('is refused in the words of the dialect: %j', async (name) => {
    const error = await failure(
      vendor,
      'NotFoundError',
      send(vendor, json({ ...good, model: `oa/${name}` })),
    );
    expect(error.headers?.get('x-evil')).toBeNull();
  });

  test('leaves nothing in flight', async () => {
    await until(() => gateway.app.gateway.inflight.count === 0);
  });
});

describe.each(['openai', 'anthropic'] as const)(
  "a proxy's page is no error of any dialect (%s)",
  (vendor) => {
    test.each(['oa/html:502', 'an/html:502', 'oa/html:503', 'an/html:403'])('%s', async (model) => {
      const error = await failure(vendor, 'InternalServerError', send(vendor, json({ ...good, model })));
      expect(error.message).not.toInclude('<html>');
    });
  },
);

test('of all this, nothing but what reached a provider is in the store', async () => {
  const attempts = await gateway.attempts();
  expect(attempts).toHaveLength(
    provider.requests.filter(
      ({ headers }) => headers.authorization === 'Bearer up' || headers['x-api-key'] === 'up',
    ).length,
  );
});

const anonymous = (text: string): string => text.replace(/req_\w+/, 'req_');
