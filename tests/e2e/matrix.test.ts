/** Every dialect a client may speak against every dialect a provider may speak, whole and streamed. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { carry } from '../../src/core/carry.ts';
import type { DialectName } from '../../src/core/chat.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { sign } from '../../src/mock/plan.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { key, startGateway, type TestGateway } from './gateway.ts';
import {
  type Heard,
  type Result,
  type Speaker,
  speakersAt,
  type Talk,
  type Tool,
  type Turn,
  wordless,
} from './talk.ts';

interface Upstream {
  name: string;
  speaks: DialectName;
  /** The same vendor's other dialect, asked by clients who speak that. */
  also?: DialectName;
  /** Configuration, as a provider of our own or one of the catalogue's, for an address and a key. */
  entry(url: string, key: string): string;
  /** Whose model it is, where that matters: a part of the model's name. */
  maker?: string;
  /** Its models sign what they thought, and want it back. */
  signs: boolean;
  /** What it has no word for: such a call is refused, or told without. */
  cannot: readonly ('stop' | 'cached' | 'choice' | 'single')[];
}

const own = (speaks: DialectName, base: string, more = '') => ({
  speaks,
  entry: (url: string, key: string) => `{ speaks: ${speaks}, url: "${url}${base}", key: ${key}${more} }`,
});
const like = (provider: string, speaks: DialectName, members: string) => ({
  speaks,
  entry: (url: string, key: string) => `{ like: ${provider}, url: "${url}", ${members.replace('KEY', key)} }`,
});
const signing = 'region: us-east-1, access_key_id: KEY, secret_access_key: secret';
const vertex = 'project: p, location: global, auth: bearer, key: KEY';

const all: readonly Upstream[] = [
  { name: 'oa', ...own('openai-chat', '/v1'), signs: false, cannot: [] },
  { name: 'or', ...own('openai-responses', '/v1'), signs: true, cannot: ['stop'] },
  { name: 'an', ...own('anthropic-messages', '/v1'), signs: true, cannot: [] },
  { name: 'ge', ...own('gemini', '/v1beta', ', auth: x-goog-api-key'), signs: true, cannot: ['single'] },
  { name: 'be', ...own('bedrock-converse', ''), signs: true, cannot: ['single'] },
  { name: 'be-claude', ...own('bedrock-converse', ''), maker: 'claude', signs: true, cannot: [] },
  { name: 'co', ...own('cohere-v2', '/v2'), signs: false, cannot: ['single'] },
  { name: 'ol', ...own('ollama', ''), signs: false, cannot: ['cached', 'choice', 'single'] },
  {
    name: 'azure',
    ...like('azure', 'openai-chat', 'key: KEY, api_version: 2024-10-21'),
    also: 'openai-responses',
    signs: false,
    cannot: [],
  },
  {
    name: 'bedrock',
    ...like('bedrock', 'anthropic-messages', signing),
    maker: 'claude',
    signs: true,
    cannot: [],
  },
  {
    name: 'vertex-claude',
    ...like('vertex', 'anthropic-messages', vertex),
    maker: 'claude',
    signs: true,
    cannot: [],
  },
  {
    name: 'vertex-gemini',
    ...like('vertex', 'gemini', vertex),
    maker: 'gemini',
    signs: true,
    cannot: ['single'],
  },
];
const upstreams = all.filter(({ speaks }) => dialects.has(speaks));
/** One of each dialect. */
const vendors = upstreams.filter(({ maker, also }) => maker === undefined && also === undefined);

let provider: FakeProvider;
let gateway: TestGateway;
let speakers: Record<string, Speaker>;

beforeAll(async () => {
  provider = await startFakeProvider({ key: 'up' });
  const lines = upstreams.map(({ name, entry }) => {
    return `  ${name}: ${entry(provider.url, 'up')}\n  bad-${name}: ${entry(provider.url, 'wrong')}`;
  });
  gateway = await startGateway(`providers:\n  mock: {}\n${lines.join('\n')}\n`);
  speakers = speakersAt(gateway.url, key);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const shown = `[image image/png ${Buffer.from(png, 'base64').length} bytes]`;
const said = 'Hello, wörld 🦊';
const hello: Turn = { user: [said] };
const weather: Tool = {
  name: 'get_weather',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer' } },
    required: ['city', 'days'],
    additionalProperties: false,
  },
};
const clock: Tool = { name: 'get_time' };
const tools = [weather, clock];
const called = { city: said, days: 1 };
const thought = 'The user wrote something. I will answer with their own words.';

/** How the provider signs that thought. */
const signature = sign(thought);

/** What such state begins with while a client of another dialect keeps it. */
const packed = carry({ type: 'state', vendor: 'gemini', value: '' }).slice(0, 12);

const lastText = (): string => provider.requests.at(-1)?.text ?? '';

const clients = clientDialects.map(({ name }) => name).filter((name) => name in wordless);
const pairs = clients.flatMap((client) => upstreams.map((up) => [client, up.name, up] as const));

describe.each(pairs)(
  'a client of %s and the provider %s',
  (client, up, { speaks: usual, also, maker, signs, cannot }) => {
    /** What the provider is asked in. */
    const speaks = also === client ? also : usual;
    const speaker = (): Speaker => speakers[client]!;
    const failureOf = async (call: Promise<unknown>): Promise<ReturnType<Speaker['failure']>> =>
      call.then(
        (heard) => {
          throw new Error(`it was answered: ${JSON.stringify(heard)}`);
        },
        (thrown) => speaker().failure(thrown),
      );
    const made = (model: string): string => (maker === undefined ? model : `${maker}~${model}`);
    /** Responses keeps reasoning back unless it is asked to show it, for which Chat Completions has no word. */
    const readable = client === 'openai-chat' && speaks === 'openai-responses' ? '' : thought;
    const canSay = (word: 'stop' | 'failed' | 'result-image' | 'single'): boolean =>
      !wordless[client]!.includes(word);

    describe.each(['whole', 'streamed'] as const)('%s', (way) => {
      const ask = (model: string, talk: Partial<Talk> = {}, to = `${up}/${made(model)}`): Promise<Heard> =>
        speaker()[way](to, { turns: [hello], ...talk });

      /** Asks for tools and hands back what they gave. */
      const goOn = async (results: (asked: Heard) => Result[], model = 'tool'): Promise<Heard> => {
        const asked = await ask(model, { tools });
        return ask('echo', { tools, turns: [hello, { assistant: asked }, { results: results(asked) }] });
      };

      test('text, instructions and usage', async () => {
        const model = 'usage:input=1000,cached=400,output=70,reasoning=30';
        const heard = await ask(model, { system: 'Be terse.' });
        expect([heard.text, heard.stop, heard.calls, heard.thought]).toEqual([said, 'end', [], '']);
        expect(lastText()).toInclude('Be terse.');
        const cached = cannot.includes('cached') ? 0 : 400;
        expect(heard.usage).toEqual({ input: 1000, cached, output: 70 });
      });

      test('a long text, in bytes that come in any pieces', async () => {
        const text =
          `${said} – naïve façade, 東京, \u{1F468}\u200D\u{1F469}\u200D\u{1F467}\\ "quoted"\n`.repeat(2);
        for (const model of ['echo:split=61', 'echo:chunk_size=2']) {
          expect((await ask(model, { turns: [{ user: [text] }] })).text).toBe(text);
        }
      });

      test('nothing', async () => {
        expect((await ask('empty')).text).toBe('');
      });

      test('an image', async () => {
        const heard = await ask('echo', { turns: [{ user: ['What is this?', { png }] }] });
        expect(heard.text).toBe(`What is this?\n${shown}`);
      });

      test('a conversation', async () => {
        const first = await ask('echo');
        const turns: Turn[] = [hello, { assistant: first }, { user: ['And now?'] }];
        expect((await ask('echo', { turns, system: 'Be terse.' })).text).toBe('And now?');
        expect(lastText().split(said)).toHaveLength(3);
      });

      test('one tool call, and its result', async () => {
        const asked = await ask('tool', { tools });
        expect([asked.stop, asked.text]).toEqual(['calls', '']);
        expect(asked.calls.map(({ name, input }) => ({ name, input }))).toEqual([
          { name: 'get_weather', input: called },
        ]);
        const results = asked.calls.map((call) => ({ call, text: 'sunny' }));
        const done = await ask('tool', { tools, turns: [hello, { assistant: asked }, { results }] });
        expect([done.text, done.stop]).toEqual(['sunny', 'end']);
      });

      test('parallel calls, one of them without arguments, and their results', async () => {
        const asked = await ask('tool:calls=2', { tools });
        expect(asked.calls.map(({ name, input }) => ({ name, input }))).toEqual([
          { name: 'get_weather', input: called },
          { name: 'get_time', input: {} },
        ]);
        const ids = asked.calls.map(({ id }) => id).filter((id) => id !== '');
        expect(new Set(ids).size).toBe(ids.length);
        const results = asked.calls.map((call, i) => ({ call, text: `result ${i}` }));
        const done = await ask('tool', { tools, turns: [hello, { assistant: asked }, { results }] });
        expect(done.text).toBe('result 0\nresult 1');
      });

      test('two rounds of tools', async () => {
        const first = await ask('tool', { tools });
        const back = (asked: Heard, text: string): Turn => ({
          results: asked.calls.map((call) => ({ call, text })),
        });
        const turns: Turn[] = [hello, { assistant: first }, back(first, 'sunny')];
        if (!cannot.includes('choice')) {
          const second = await ask('tool', { tools, turns, choice: 'required' });
          turns.push({ assistant: second }, back(second, 'rainy'));
        }
        const third = await ask('tool', { tools, turns });
        turns.push({ assistant: third }, { user: ['Thanks. And tomorrow?'] });
        const fourth = await ask('tool:calls=2', { tools, turns });
        expect(fourth.calls.map(({ name }) => name)).toEqual(['get_weather', 'get_time']);
        turns.push({ assistant: fourth }, back(fourth, 'windy'));
        expect((await ask('tool', { tools, turns })).text).toBe('windy\nwindy');
      });

      test('a tool that failed', async () => {
        const done = await goOn(({ calls }) =>
          calls.map((call) => ({ call, text: 'no network', failed: canSay('failed') })),
        );
        expect(done.text).toInclude('no network');
        if (canSay('failed')) expect(done.text).toMatch(/error/i);
      });

      test.if(canSay('result-image'))('a tool that gave an image', async () => {
        await goOn(({ calls }) => calls.map((call) => ({ call, text: 'look', png })));
        expect(lastText()).toInclude(png);
        expect(lastText()).toInclude('look');
      });

      test('a tool that must be called, and one that must not', async () => {
        expect((await ask('tool', { tools, choice: 'none' })).text).toBe(said);
        for (const choice of ['required', { name: 'get_time' }] as const) {
          const call = ask('tool', { tools, choice });
          if (cannot.includes('choice')) {
            expect(await failureOf(call)).toMatchObject({
              status: 400,
              words: expect.stringContaining('call a tool'),
            });
          } else {
            const name = choice === 'required' ? 'get_weather' : choice.name;
            expect((await call).calls.map((each) => each.name)).toEqual([name]);
          }
        }
      });

      test.if(canSay('single') && !cannot.includes('single'))('at most one call', async () => {
        expect((await ask('tool:calls=2', { tools, single: true })).calls).toHaveLength(1);
      });

      test('structured output', async () => {
        const schema = {
          type: 'object',
          properties: { name: { type: 'string' } },
          required: ['name'],
          additionalProperties: false,
        };
        const heard = await ask('json', { schema });
        expect(JSON.parse(heard.text)).toEqual({ name: said });
      });

      test('reasoning that can be read, handed back', async () => {
        const heard = await ask('reason', { thinks: true });
        expect([heard.thought, heard.text]).toEqual([readable, said]);
        const turns: Turn[] = [hello, { assistant: heard }, { user: ['And now?'] }];
        expect((await ask('reason', { thinks: true, turns })).text).toBe('And now?');
      });

      test('what a model signed goes back to it, and to no other vendor', async () => {
        const asked = await ask('tool:think=true', { tools, thinks: true });
        expect([asked.thought, asked.calls.length]).toEqual([readable, 1]);
        const results = asked.calls.map((call) => ({ call, text: 'sunny' }));
        const talk: Partial<Talk> = {
          tools,
          thinks: true,
          turns: [hello, { assistant: asked }, { results }],
        };
        expect((await ask('tool', talk)).text).toBe('sunny');
        if (signs || speaks === 'openai-responses') expect(lastText()).toInclude(signature);
        expect(lastText()).not.toInclude(packed);
        for (const other of vendors.filter((each) => each.speaks !== speaks)) {
          await ask('tool', talk, `${other.name}/tool`);
          expect(lastText()).not.toInclude(signature);
          expect(lastText()).not.toInclude(packed);
        }
      });

      test.if(canSay('stop'))('a stop sequence', async () => {
        const call = ask('echo', { stop: ['wörld'] });
        if (!cannot.includes('stop')) {
          const heard = await call;
          expect([heard.text, heard.stop]).toEqual(['Hello, ', 'end']);
        } else {
          const { status, words } = await failureOf(call);
          expect([status, words]).toEqual([400, expect.stringMatching(/stop/i)]);
        }
      });

      test('a token limit', async () => {
        const heard = await ask('length', { maxTokens: 20 });
        expect([heard.stop, heard.text.length, heard.usage.output]).toEqual(['length', 80, 20]);
      });

      test('a token limit below what some providers take', async () => {
        if (speaks === 'openai-responses' && client === speaks) {
          expect((await failureOf(ask('length', { maxTokens: 2 }))).status).toBe(400);
        } else {
          const tokens = speaks === 'openai-responses' ? 16 : 2;
          const heard = await ask('length', { maxTokens: 2 });
          expect([heard.stop, heard.usage.output]).toEqual(['length', tokens]);
        }
      });

      test('a refusal', async () => {
        const heard = await ask('refuse');
        const words = 'I cannot help with that.';
        if (heard.stop !== 'refusal') expect([heard.stop, heard.text]).toEqual(['end', words]);
      });

      test('a failure before the answer', async () => {
        const limited = await failureOf(ask('status:429,retry_after=7'));
        expect([limited.status, limited.retryAfter]).toEqual([429, '7']);
        expect(limited.kind).toMatch(/^(rate_limit_error|requests|RESOURCE_EXHAUSTED|RateLimitReached)$/);
        // Passed on as it is to a client of the same dialect; to others, a provider failed.
        expect([500, 502]).toContain((await failureOf(ask('status:500'))).status ?? 0);
        expect((await failureOf(ask('error:context_length'))).status).toBe(400);
        expect((await failureOf(ask('nonsense'))).status).toBe(404);
        const broken = await failureOf(ask(way === 'whole' ? 'malformed' : 'reset:0'));
        expect(broken.status).toBe(502);
      });

      test("a key that is not the client's fault", async () => {
        const { status, words } = await failureOf(
          speaker()[way](`bad-${up}/${made('echo')}`, { turns: [hello] }),
        );
        expect(status).toBe(502);
        expect(words).not.toInclude('wrong');
      });
    });

    test.each([
      'cut:3,delay=2ms',
      'error-event:after=3,delay=2ms',
      'malformed:after=3,delay=2ms',
      'reset:after=3,delay=2ms',
    ])('a stream that ends by %s throws', async (model) => {
      const { words } = await failureOf(
        speaker().streamed(`${up}/${made(model)}`, { turns: [{ user: [said.repeat(9)] }] }),
      );
      expect(words.length).toBeGreaterThan(0);
    });
  },
);

test.each(upstreams.map((up) => [up.name, up] as const))(
  'a client of legacy Completions and the provider %s',
  async (name, { maker }) => {
    const model = (behaviour: string): string =>
      `${name}/${maker === undefined ? '' : `${maker}~`}${behaviour}`;
    const ask = { prompt: said.repeat(9), max_tokens: 100 };
    const whole = await gateway.openai.completions.create({ model: model('usage:input=9,output=5'), ...ask });
    expect([whole.choices[0]?.text, whole.usage?.total_tokens]).toEqual([ask.prompt, 14]);
    const stream = await gateway.openai.completions.create({ model: model('echo'), ...ask, stream: true });
    const texts = await Array.fromAsync(stream, ({ choices }) => choices[0]?.text ?? '');
    expect(texts.join('')).toBe(ask.prompt);
    const failed = gateway.openai.completions.create({
      model: model('cut:3,delay=2ms'),
      ...ask,
      stream: true,
    });
    await expect(failed.then(Array.fromAsync)).rejects.toThrow();
  },
);

test.each(clients)('the built-in mock answers a client of %s in its own dialect', async (client) => {
  for (const way of ['whole', 'streamed'] as const) {
    expect((await speakers[client]![way]('mock/echo', { turns: [hello] })).text).toBe(said);
  }
});
