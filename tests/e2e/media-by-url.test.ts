/** Files that clients name by address reach models that take them by value only. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway, twoProviders } from './gateway.ts';

let provider: FakeProvider;
let files: ReturnType<typeof Bun.serve>;
let fetched: string[];
let gateway: TestGateway;
let closed: TestGateway;
let off: TestGateway;

const pdf = Buffer.from('%PDF-1.4\n%%EOF\n');
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

beforeAll(async () => {
  provider = await startFakeProvider();
  files = Bun.serve({
    port: 0,
    async fetch({ url }) {
      const { pathname } = new URL(url);
      fetched.push(pathname);
      // Servers say anything of what they send.
      if (pathname.startsWith('/report'))
        return new Response(pdf, { headers: { 'content-type': 'text/plain' } });
      if (pathname === '/cat.png') return new Response(png, { headers: { 'content-type': 'image/jpeg' } });
      if (pathname === '/text') return new Response('words', { headers: { 'content-type': 'text/plain' } });
      if (pathname === '/unknown')
        return new Response('????', { headers: { 'content-type': 'application/octet-stream' } });
      if (pathname === '/empty') return new Response('', { headers: { 'content-type': 'application/pdf' } });
      if (pathname === '/slow') await Bun.sleep(2000);
      return new Response('gone', { status: 404 });
    },
  });
  const models = 'models: { either: { fallback: [oa/echo, an/echo] } }\n';
  const local = `  ol: { speaks: ollama, url: "${provider.url}" }\n`;
  const providers = `${twoProviders(provider.base)}${local}${models}`;
  gateway = await startGateway(`fetch_media: any\n${providers}`);
  closed = await startGateway(providers);
  off = await startGateway(`fetch_media: off\n${providers}`);
});

afterAll(async () => {
  await gateway.stop();
  await closed.stop();
  await off.stop();
  await provider.stop();
  await files.stop(true);
});

beforeEach(() => {
  fetched = [];
});

const address = (path: string): string => `http://127.0.0.1:${files.port}${path}`;
const document = (path: string) => ({
  type: 'document' as const,
  source: { type: 'url' as const, url: address(path) },
});
const ask = (...content: Anthropic.ContentBlockParam[]) => ({
  model: 'oa/echo',
  max_tokens: 100,
  messages: [{ role: 'user' as const, content }],
});
const lastText = (): string => provider.requests.at(-1)?.text ?? '';
const failureOf = async (act: Promise<unknown>): Promise<InstanceType<typeof Anthropic.APIError>> => {
  const thrown = await act.then(
    () => undefined,
    (error: unknown) => error,
  );
  return thrown as InstanceType<typeof Anthropic.APIError>;
};

describe('a document named by its address', () => {
  test('reaches a model that takes documents by value, whole and streamed', async () => {
    const request = ask({ type: 'text', text: 'What is this?' }, document('/report.pdf'));
    const whole = await gateway.anthropic.messages.create(request);
    expect(whole.content).toMatchObject([{ text: 'What is this?\n[document application/pdf 15 bytes]' }]);
    const streamed = await gateway.anthropic.messages.stream(request).finalText();
    expect(streamed).toContain('[document application/pdf 15 bytes]');
    expect(lastText()).toContain(pdf.toString('base64'));
    expect(fetched).toEqual(['/report.pdf', '/report.pdf']);
  });

  test('is fetched once however often it is named, in tool results too', async () => {
    const call = { type: 'tool_use' as const, id: 'call_1', name: 'f', input: {} };
    const result = {
      type: 'tool_result' as const,
      tool_use_id: 'call_1',
      content: [document('/report.pdf')],
    };
    await gateway.anthropic.messages.create({
      ...ask(document('/report.pdf'), document('/report2.pdf')),
      messages: [
        { role: 'user', content: [document('/report.pdf'), document('/report2.pdf')] },
        { role: 'assistant', content: [call] },
        { role: 'user', content: [result] },
      ],
      tools: [{ name: 'f', input_schema: { type: 'object' } }],
    });
    expect(fetched.sort()).toEqual(['/report.pdf', '/report2.pdf']);
    expect(lastText().split(pdf.toString('base64'))).toHaveLength(4);
  });

  test('stays an address for a model that takes it so', async () => {
    await gateway.anthropic.messages.create({ ...ask(document('/report.pdf')), model: 'an/echo' });
    expect(lastText()).toContain(address('/report.pdf'));
    expect(fetched).toEqual([]);
  });

  test('is fetched for the target that needs it only', async () => {
    provider.script('broken', 'status:503');
    const models = `models: { either: { fallback: [oa/broken, an/echo] } }\n`;
    const other = await startGateway(`fetch_media: any\n${twoProviders(provider.base)}${models}`);
    try {
      await other.anthropic.messages.create({ ...ask(document('/report.pdf')), model: 'either' });
    } finally {
      await other.stop();
    }
    expect(lastText()).toContain(address('/report.pdf'));
    expect(lastText()).not.toContain(pdf.toString('base64'));
  });
});

describe('an image named by its address', () => {
  const shown = (path: string) => ({
    model: 'ol/echo',
    messages: [
      { role: 'system' as const, content: 'Look.' },
      { role: 'user' as const, content: [{ type: 'image_url' as const, image_url: { url: address(path) } }] },
    ],
  });

  test('reaches a server that knows no addresses, as what it is rather than what its server says', async () => {
    const answer = await gateway.openai.chat.completions.create(shown('/cat.png'));
    expect(answer.choices[0]?.message.content).toContain('[image');
    expect(lastText()).toContain(png.toString('base64'));
    expect(fetched).toEqual(['/cat.png']);
  });

  test('that is none is refused in the words of the client', async () => {
    const response = await gateway.post('/v1/chat/completions', shown('/text'));
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { param: string; message: string } };
    expect(error.param).toBe('messages[1].content[0]');
    expect(error.message).toContain('text/plain, not an image');
  });
});

test('what stands in a data: URL is unpacked without fetching anything', async () => {
  const url = `data:application/pdf,${encodeURIComponent(pdf.toString())}`;
  for (const each of [gateway, closed]) {
    await each.anthropic.messages.create(ask({ type: 'document', source: { type: 'url', url } }));
    expect(lastText()).toContain(pdf.toString('base64'));
  }
  expect(fetched).toEqual([]);
});

describe('what cannot be fetched is refused, by its name and with the reason', () => {
  test.each<[string, RegExp]>([
    ['/missing', /status 404/],
    ['/unknown', /octet-stream, not a document/],
    ['/empty', /it is empty/],
  ])('%s', async (path, words) => {
    const failure = await failureOf(
      gateway.anthropic.messages.create(ask({ type: 'text', text: 'x' }, document(path))),
    );
    expect(failure.status).toBe(400);
    expect(failure.message).toMatch(words);
    expect(failure.message).toContain('messages[0].content[1]');
  });

  test('at an address in the own network, unless the configuration allows it', async () => {
    const failure = await failureOf(closed.anthropic.messages.create(ask(document('/report.pdf'))));
    expect(failure.status).toBe(400);
    expect(failure.message).toContain('not on the public internet');
    expect(fetched).toEqual([]);
  });

  test('at all, where that is switched off: then another target may take the address', async () => {
    const failure = await failureOf(off.anthropic.messages.create(ask(document('/report.pdf'))));
    expect(failure.status).toBe(400);
    expect(failure.message).toContain('no way to say');
    const answer = await off.anthropic.messages.create({ ...ask(document('/report.pdf')), model: 'either' });
    expect(answer.content).toMatchObject([{ type: 'text' }]);
    expect(fetched).toEqual([]);
  });

  test('and nothing is asked of any provider, nor written down', async () => {
    const before = provider.requests.length;
    const response = await gateway.post('/v1/messages', ask(document('/missing')));
    expect(response.status).toBe(400);
    expect(provider.requests).toHaveLength(before);
    expect(await gateway.attemptsOf(response.headers.get('x-request-id'))).toEqual([]);
  });
});

test('a client that leaves while its files are fetched is not waited for', async () => {
  const leaving = new AbortController();
  const before = provider.requests.length;
  const call = gateway.anthropic.messages.create(ask(document('/slow')), { signal: leaving.signal });
  while (fetched.length === 0) await Bun.sleep(5);
  leaving.abort();
  expect(await failureOf(call)).toBeInstanceOf(Anthropic.APIUserAbortError);
  await Bun.sleep(100);
  expect(provider.requests).toHaveLength(before);
  expect(gateway.app.gateway.inflight.count).toBe(0);
});
