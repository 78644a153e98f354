/** Where client and provider speak one dialect, bytes are passed on: only what must change does. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { relayOnly, startGateway, type TestGateway, twoProviders } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  gateway = await startGateway(`${twoProviders(provider.base)}
models: { short: oa/echo, brief: an/echo }
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const lastText = (): string => provider.requests.at(-1)?.text ?? '';

/** A body no serialiser would write: odd spacing, order and escapes, numbers beyond doubles, members nobody knows. */
const odd = (model: string, rest = ''): string =>
  `{"zebra" : 12345678901234567890.10,"max_tokens":50,"model":"${model}","é\\u0041":[1.0,1e2,  {"b":1,"a":2}\n],` +
  `"messages" :[{"role":"user","content":"caf\\u00e9 \\ud83e\\udd8a <é>"}],"seed_9007199254740993":9007199254740993${rest}}`;

describe.each([
  ['/v1/chat/completions', 'oa', 'short'],
  ['/v1/messages', 'an', 'brief'],
] as const)('POST %s to a provider of that dialect', (path, up, alias) => {
  relayOnly('changes nothing in the request but the model', async () => {
    await gateway.post(path, odd(`${up}/echo`));
    expect(lastText()).toBe(odd('echo'));
    await gateway.post(path, odd(alias));
    expect(lastText()).toBe(odd('echo'));
  });

  relayOnly(
    'changes nothing in a streamed request but the model, and asks for usage where that is needed',
    async () => {
      await (await gateway.post(path, odd(`${up}/echo`, ',"stream":true'))).text();
      const sent = lastText();
      if (up === 'an') expect(sent).toBe(odd('echo', ',"stream":true'));
      else {
        expect(JSON.parse(sent).stream_options).toEqual({ include_usage: true });
        expect(sent.replace(/,?\s*"stream_options":\{"include_usage":true\}/, '')).toBe(
          odd('echo', ',"stream":true'),
        );
      }
    },
  );

  relayOnly('keeps other stream options', async () => {
    if (up === 'an') return;
    await (
      await gateway.post(
        path,
        odd('oa/echo', ',"stream":true,"stream_options":{"include_obfuscation":false}'),
      )
    ).text();
    expect(JSON.parse(lastText()).stream_options).toEqual({
      include_obfuscation: false,
      include_usage: true,
    });
    const asked = ',"stream":true,"stream_options":{"include_usage":true}';
    await (await gateway.post(path, odd('oa/echo', asked))).text();
    expect(lastText()).toBe(odd('echo', asked));
  });

  relayOnly.each(['echo', 'tool', 'reason', 'refuse', 'empty', 'big:200000'])(
    'passes a whole answer of %s unchanged',
    async (model) => {
      const { given, got } = await bothAnswers(model, false);
      expect(got).toBe(given);
    },
  );

  relayOnly.each(['echo', 'tool', 'reason', 'refuse', 'echo:split=7', 'big:200000', 'no-usage'])(
    'passes a stream of %s unchanged',
    async (model) => {
      const { given, got } = await bothAnswers(model, true);
      expect(got).toBe(given);
    },
  );

  test('leaves the model out of nothing: a path of strange letters is asked for as it is', async () => {
    await gateway.post(path, {
      model: `${up}/echo:as=ü\\"/x`,
      max_tokens: 5,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    expect(provider.requests.at(-1)?.body?.model).toBe('echo:as=ü\\"/x');
  });

  /** The provider's own words, and what the gateway made of them; ids and times, which differ by call, made equal. */
  const bothAnswers = async (model: string, stream: boolean) => {
    const tool =
      up === 'oa'
        ? {
            type: 'function',
            function: {
              name: 'look',
              parameters: { type: 'object', properties: { at: { type: 'string' } } },
            },
          }
        : { name: 'look', input_schema: { type: 'object', properties: { at: { type: 'string' } } } };
    const body = {
      max_tokens: 100_000,
      messages: [{ role: 'user', content: 'Hello "there" ü' }],
      stream,
      ...(model === 'tool' && { tools: [tool] }),
      ...(stream && up === 'oa' && { stream_options: { include_usage: true } }),
    };
    const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
    const direct = await fetch(provider.url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model, ...body }),
    });
    const through = await gateway.post(path, { model: `${up}/${model}`, ...body });
    expect(through.status).toBe(200);
    return { given: anonymous(await direct.text()), got: anonymous(await through.text()) };
  };
});

test('beta headers of an Anthropic client reach an Anthropic provider, keys and the rest do not', async () => {
  await gateway.post(
    '/v1/messages',
    { model: 'an/echo', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
    { 'anthropic-beta': 'some-feature-2030-01-01', 'x-private': 'secret', cookie: 'a=b' },
  );
  const headers = provider.requests.at(-1)?.headers ?? {};
  if (process.env.SLUICE_FORCE_TRANSLATE !== '1')
    expect(headers['anthropic-beta']).toBe('some-feature-2030-01-01');
  expect(headers['x-private']).toBeUndefined();
  expect(headers.cookie).toBeUndefined();
  expect(headers.authorization ?? headers['x-api-key']).toEndWith('up');
  expect(JSON.stringify(headers)).not.toInclude('sk-test-key');
});

function anonymous(text: string): string {
  return text.replace(/(chatcmpl-|msg_|call_|toolu_)\w+/g, '$1').replace(/"created":\d+/g, '"created":0');
}
