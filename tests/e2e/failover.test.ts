/** What becomes of a call when a provider fails: before the answer begins another answers; after that it is said. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { type AttemptRow, forced, startGateway, type TestGateway } from './gateway.ts';

/** A failure: how the provider behaves, how the attempt is recorded, what a client hears that has no other target. */
interface Failure {
  what: string;
  behaviour: string;
  outcome: string;
  /** Status by dialect of client and provider, where both speak the same. */
  alone: number | { openai: number; anthropic: number };
  /** Upstream status of the record. */
  upstream?: number;
  only?: 'whole' | 'streamed';
  refused?: boolean;
}

const failures: Failure[] = [
  {
    what: 'nobody listens',
    behaviour: 'echo',
    outcome: 'upstream_network',
    alone: 502,
    upstream: 0,
    refused: true,
  },
  { what: 'it answers 408', behaviour: 'status:408', outcome: 'upstream_timeout', alone: 408, upstream: 408 },
  {
    what: 'it answers 409',
    behaviour: 'status:409',
    outcome: 'upstream_unavailable',
    alone: 409,
    upstream: 409,
  },
  {
    what: 'it answers 429',
    behaviour: 'status:429',
    outcome: 'upstream_rate_limited',
    alone: 429,
    upstream: 429,
  },
  {
    what: 'it answers 500',
    behaviour: 'status:500',
    outcome: 'upstream_unavailable',
    alone: 500,
    upstream: 500,
  },
  {
    what: 'it answers 502',
    behaviour: 'status:502',
    outcome: 'upstream_unavailable',
    alone: 502,
    upstream: 502,
  },
  {
    what: 'it answers 503',
    behaviour: 'status:503',
    outcome: 'upstream_overloaded',
    alone: 503,
    upstream: 503,
  },
  {
    what: 'it answers 529',
    behaviour: 'status:529',
    outcome: 'upstream_overloaded',
    alone: 529,
    upstream: 529,
  },
  {
    what: 'it refuses the key',
    behaviour: 'status:401',
    outcome: 'upstream_auth',
    alone: 502,
    upstream: 401,
  },
  {
    what: 'it forbids the key',
    behaviour: 'status:403',
    outcome: 'upstream_auth',
    alone: 502,
    upstream: 403,
  },
  { what: 'it answers 402', behaviour: 'status:402', outcome: 'upstream_quota', alone: 402, upstream: 402 },
  {
    what: 'its account is empty',
    behaviour: 'error:billing',
    outcome: 'upstream_quota',
    alone: { openai: 429, anthropic: 400 },
  },
  {
    what: 'the model does not exist',
    behaviour: 'error:not_found',
    outcome: 'upstream_not_found',
    alone: 404,
    upstream: 404,
  },
  {
    what: 'a proxy in front of it is down',
    behaviour: 'html:502',
    outcome: 'upstream_unavailable',
    alone: 502,
  },
  {
    what: 'no headers come in time',
    behaviour: 'delay:1m',
    outcome: 'upstream_timeout',
    alone: 504,
    upstream: 0,
  },
  {
    what: 'headers but no body come in time',
    behaviour: 'first:1m',
    outcome: 'upstream_timeout',
    alone: 504,
  },
  {
    what: 'the connection breaks before headers',
    behaviour: 'reset:0',
    outcome: 'upstream_network',
    alone: 502,
  },
  {
    what: 'the whole answer is shorter than announced',
    behaviour: 'cut',
    outcome: '*',
    alone: 502,
    only: 'whole',
  },
  {
    what: 'the connection breaks in a whole answer',
    behaviour: 'reset',
    outcome: '*',
    alone: 502,
    only: 'whole',
  },
  {
    what: 'a whole answer is no JSON',
    behaviour: 'malformed',
    outcome: 'upstream_invalid',
    alone: 502,
    only: 'whole',
  },
  {
    what: 'a whole answer never ends',
    behaviour: 'stall',
    outcome: 'upstream_timeout',
    alone: 504,
    only: 'whole',
  },
  {
    what: 'the stream is empty',
    behaviour: 'cut:0',
    outcome: 'upstream_invalid',
    alone: 502,
    only: 'streamed',
  },
  {
    what: 'the stream is cut at once',
    behaviour: 'cut:1',
    outcome: 'upstream_invalid',
    alone: 502,
    only: 'streamed',
  },
  {
    what: 'the stream stalls at once',
    behaviour: 'stall:1',
    outcome: 'upstream_timeout',
    alone: 504,
    only: 'streamed',
  },
  {
    what: 'the stream breaks at once',
    behaviour: 'reset:1',
    outcome: 'upstream_network',
    alone: 502,
    only: 'streamed',
  },
  {
    what: 'the stream begins with an error',
    behaviour: 'error-event:0',
    outcome: '*',
    alone: { openai: 502, anthropic: 529 },
    only: 'streamed',
  },
  {
    what: 'an error comes before any text',
    behaviour: 'error-event:1',
    outcome: '*',
    alone: { openai: 502, anthropic: 529 },
    only: 'streamed',
  },
  {
    what: 'the stream begins with nonsense',
    behaviour: 'malformed:0',
    outcome: 'upstream_invalid',
    alone: 502,
    only: 'streamed',
  },
];

const clients = ['openai', 'anthropic'] as const;
type Client = (typeof clients)[number];
const ways = ['whole', 'streamed'] as const;
type Way = (typeof ways)[number];
const dialectOf = { openai: 'openai-chat', anthropic: 'anthropic-messages' } as const;

const cases = failures.flatMap((failure, i) =>
  clients.flatMap((client) =>
    ways
      .filter((way) => failure.only === undefined || failure.only === way)
      .map((way) => ({ name: `${client}_${way}_${i}`, client, way, failure })),
  ),
);

let provider: FakeProvider;
let locked: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  locked = await startFakeProvider({ key: 'good' });
  const short = 'timeout: { first_byte: 700ms, idle: 700ms }';
  const text = (url: string) => JSON.stringify(url);
  // A provider of its own for each case: what one does to the health of its provider is no matter of the others.
  const own = cases.flatMap(({ name, client, failure }) => {
    const url = failure.refused ? 'http://127.0.0.1:1' : provider.base;
    const speaks = `speaks: ${dialectOf[client]}, url: ${text(url)}, key: up, ${short}`;
    return [`  ${name}: { ${speaks} }`, `  ${name}_alone: { ${speaks} }`];
  });
  const routes = cases.flatMap(({ name, failure }) => [
    `  ${name}: { fallback: [${text(`${name}/${failure.behaviour}`)}, other/echo] }`,
  ]);
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: ${text(provider.base)}, key: up, ${short} }
  an: { speaks: anthropic-messages, url: ${text(provider.base)}, key: up, ${short} }
  other: { speaks: [openai-chat, anthropic-messages], url: ${text(provider.base)}, key: up }
  pool: { speaks: openai-chat, url: ${text(locked.base)}, keys: [dead, good] }
  broke: { speaks: openai-chat, url: ${text(locked.base)}, keys: [dead1, dead2] }
  limited: { speaks: openai-chat, url: ${text(provider.base)}, keys: [one, two, three] }
${own.join('\n')}
models:
  deep: { fallback: [oa/status:500, { fallback: [an/status:503, oa/html] }, other/echo] }
  all_down: { fallback: ["oa/status:500,as=a", "an/status:529,as=a"] }
  pooled: { fallback: [broke/echo, pool/echo] }
  halves: { split: [{ to: oa/status:502, weight: 1 }, { to: other/echo, weight: 1 }] }
  shares: { split: [{ to: other/echo, weight: 9 }, { to: oa/echo, weight: 1 }] }
  twice: { fallback: [an/echo, oa/echo] }
  wrong: { fallback: [oa/error:bad_request, other/echo] }
  long: { fallback: [oa/error:context_length, other/echo] }
  tried: { fallback: [oa/scripted, other/echo] }
${routes.join('\n')}
`);
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([provider.stop(), locked.stop()]);
});

const messages = [{ role: 'user' as const, content: 'Hello, world: this is a text of several pieces.' }];
const said = messages[0]!.content;

interface Heard {
  text: string;
  headers: Headers;
  error: (Error & { status?: number; headers?: Headers }) | undefined;
}

/** Asks with the official client and hears to the end. */
async function hear(client: Client, way: Way, model: string, rest: object = {}): Promise<Heard> {
  const heard: Heard = { text: '', headers: new Headers(), error: undefined };
  try {
    if (client === 'openai') {
      const ask = { model, messages, ...rest };
      if (way === 'whole') {
        const { data, response } = await gateway.openai.chat.completions.create(ask).withResponse();
        Object.assign(heard, { text: data.choices[0]?.message.content, headers: response.headers });
      } else {
        const { data, response } = await gateway.openai.chat.completions
          .create({ ...ask, stream: true })
          .withResponse();
        heard.headers = response.headers;
        for await (const chunk of data) heard.text += chunk.choices[0]?.delta.content ?? '';
      }
    } else {
      const ask = { model, messages, max_tokens: 1000, ...rest };
      if (way === 'whole') {
        const { data, response } = await gateway.anthropic.messages.create(ask).withResponse();
        Object.assign(heard, {
          text: data.content[0]?.type === 'text' && data.content[0].text,
          headers: response.headers,
        });
      } else {
        const { data, response } = await gateway.anthropic.messages
          .create({ ...ask, stream: true })
          .withResponse();
        heard.headers = response.headers;
        for await (const event of data) {
          if (event.type === 'content_block_delta' && event.delta.type === 'text_delta')
            heard.text += event.delta.text;
        }
      }
    }
  } catch (thrown) {
    heard.error = thrown as Heard['error'];
    heard.headers = heard.error?.headers ?? heard.headers;
  }
  return heard;
}

/**
 * The attempts of what was heard, of which exactly the last is final; without those that found a kept connection closed,
 * which are made again at once.
 */
async function attemptsOf({ headers }: Heard): Promise<AttemptRow[]> {
  const rows = await gateway.attemptsOf(headers.get('x-request-id'));
  expect(rows.map(({ attempt }) => attempt)).toEqual(rows.map((_, i) => i + 1));
  expect(rows.map(({ final }) => final)).toEqual(rows.map((_, i) => (i === rows.length - 1 ? 1 : 0)));
  expect(headers.get('x-sluice-attempts')).toBe(String(rows.length));
  return rows.filter(({ outcome }) => outcome !== 'upstream_stale');
}

describe.each(cases.map((each) => [each.failure.what, each.client, each.way, each] as const))(
  'when %s (%s, %s)',
  (_what, client, way, { name, failure }) => {
    test.concurrent('the next target answers', async () => {
      const heard = await hear(client, way, name);
      expect(heard.error).toBeUndefined();
      expect(heard.text).toBe(said);
      expect(heard.headers.get('x-sluice-target')).toBe('other/echo');
      const rows = await attemptsOf(heard);
      expect(rows).toHaveLength(2);
      if (failure.outcome !== '*') expect(rows[0]?.outcome).toBe(failure.outcome);
      else expect(rows[0]?.outcome).toStartWith('upstream_');
      if (failure.upstream !== undefined) expect(rows[0]?.upstream_status).toBe(failure.upstream);
      expect(rows[0]).toMatchObject({
        target: `${name}/${failure.behaviour}`,
        client_status: 0,
        // What the provider had counted by then is kept, though the client saw none of it; it has no price here.
        nano_usd: rows[0]?.input === 0 ? 0 : null,
      });
      expect(rows[1]).toMatchObject({
        target: 'other/echo',
        outcome: 'ok',
        upstream_status: 200,
        client_status: 200,
      });
    });

    test.concurrent('and there is no other target, the client hears what happened', async () => {
      const model = `${name}_alone/${failure.behaviour}`;
      const heard = await hear(client, way, model);
      expect(heard.error).toBeInstanceOf(client === 'openai' ? OpenAI.APIError : Anthropic.APIError);
      const { alone } = failure;
      const status = typeof alone === 'number' ? alone : alone[client];
      if (!forced) expect(heard.error?.status).toBe(status);
      expect(heard.error?.status).toBeGreaterThanOrEqual(400);
      expect(heard.headers.get('x-sluice-target')).toBe(model);
      const rows = await attemptsOf(heard);
      expect(rows).toHaveLength(1);
      expect(rows[0]?.client_status).toBe(heard.error?.status ?? 0);
    });
  },
);

describe('a stream that fails after it has begun', () => {
  const broken = [
    ['is cut', 'cut', 'upstream_invalid'],
    ['stalls', 'stall', 'upstream_timeout'],
    ['breaks', 'reset', 'upstream_network'],
    ['reports an error', 'error-event', '*'],
    ['turns into nonsense', 'malformed', '*'],
  ] as const;
  const pairs = clients.flatMap((client) => ['oa', 'an'].map((up) => [client, up] as const));

  describe.each(pairs)('%s client, provider %s', (client, up) => {
    test.concurrent.each(broken)('and %s: ends with an error', async (_how, behaviour, outcome) => {
      const heard = await hear(
        client,
        'streamed',
        `${up}/${behaviour}:6,chunk_size=4,delay=10ms,as=${client}`,
      );
      expect(heard.text).not.toBe('');
      expect(heard.error).toBeDefined();
      // Bytes that are relayed are not parsed: then it is the client that finds nonsense out.
      const own = (client === 'openai' ? 'oa' : 'an') === up && !forced;
      if (behaviour === 'malformed' && own) return;
      expect(said).toStartWith(heard.text);
      expect(heard.text.length).toBeLessThan(said.length);
      expect(heard.error).toBeInstanceOf(client === 'openai' ? OpenAI.APIError : Anthropic.APIError);
      expect(heard.error?.message.length).toBeGreaterThan(5);
      const rows = await gateway.attemptsOf(heard.headers.get('x-request-id'));
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({ final: 1, upstream_status: 200, estimated: 1 });
      if (outcome === '*') expect(rows[0]?.outcome).toStartWith('upstream_');
      else expect(rows[0]?.outcome).toBe(outcome);
      expect(rows[0]?.output).toBeGreaterThan(0);
    });
  });
});

describe('a pool of keys', () => {
  test('answers with the next key when one is dead', async () => {
    const heard = await hear('openai', 'whole', 'pool/echo');
    expect(heard.text).toBe(said);
    const rows = await attemptsOf(heard);
    expect(rows.map(({ outcome, target }) => [outcome, target])).toEqual([
      ['upstream_auth', 'pool/echo'],
      ['ok', 'pool/echo'],
    ]);
  });

  test('leaves a dead key alone from then on', async () => {
    for (let i = 0; i < 3; i++)
      expect((await attemptsOf(await hear('openai', 'whole', 'pool/echo'))).length).toBe(1);
  });

  test('makes way for the next target when all are dead', async () => {
    const heard = await hear('openai', 'whole', 'pooled');
    expect(heard.text).toBe(said);
    expect(heard.headers.get('x-sluice-target')).toBe('pool/echo');
    expect((await attemptsOf(heard)).map(({ outcome }) => outcome)).toEqual([
      'upstream_auth',
      'upstream_auth',
      'ok',
    ]);
  });

  test('tries each key that is not limited', async () => {
    provider.script('rationed', 'status:429,retry_after=60', 'status:429,retry_after=60', 'echo');
    const heard = await hear('openai', 'whole', 'limited/rationed');
    expect(heard.text).toBe(said);
    expect((await attemptsOf(heard)).map(({ outcome }) => outcome)).toEqual([
      'upstream_rate_limited',
      'upstream_rate_limited',
      'ok',
    ]);
    const keys = provider.requests.slice(-3).map(({ headers }) => headers.authorization);
    expect(new Set(keys)).toEqual(new Set(['Bearer one', 'Bearer two', 'Bearer three']));
  });
});

describe('routes', () => {
  test('a fallback within a fallback', async () => {
    const heard = await hear('anthropic', 'whole', 'deep');
    expect(heard.text).toBe(said);
    expect((await attemptsOf(heard)).map(({ target }) => target)).toEqual([
      'oa/status:500',
      'an/status:503',
      'oa/html',
      'other/echo',
    ]);
  });

  test('when every target fails, the client hears the last one', async () => {
    const heard = await hear('anthropic', 'whole', 'all_down');
    expect(heard.error).toBeInstanceOf(Anthropic.InternalServerError);
    expect(heard.error?.status).toBe(529);
    expect((await attemptsOf(heard)).map(({ client_status }) => client_status)).toEqual([0, 529]);
  });

  test('a split of which one half is down always answers', async () => {
    for (let i = 0; i < 4; i++) expect((await hear('openai', 'whole', 'halves')).text).toBe(said);
  });

  test('a split asks each target by its share', async () => {
    const random = gateway.app.gateway.random;
    const target = async (point: number) => {
      gateway.app.gateway.random = () => point;
      return (await hear('openai', 'whole', 'shares')).headers.get('x-sluice-target');
    };
    expect(await target(0)).toBe('other/echo');
    expect(await target(0.89)).toBe('other/echo');
    expect(await target(0.91)).toBe('oa/echo');
    gateway.app.gateway.random = random;
  });

  test('what a target cannot say moves the call on, and nobody is blamed', async () => {
    for (let i = 0; i < 6; i++) {
      const heard = await hear('openai', 'whole', 'twice', { logprobs: true });
      expect(heard.text).toBe(said);
      expect(heard.headers.get('x-sluice-target')).toBe('oa/echo');
      expect(await attemptsOf(heard)).toHaveLength(1);
    }
    // Its health is as it was: what it can say, it is asked.
    expect((await hear('openai', 'whole', 'twice')).headers.get('x-sluice-target')).toBe('an/echo');
  });

  test('a request that is wrong everywhere is tried once', async () => {
    const heard = await hear('openai', 'whole', 'wrong');
    expect(heard.error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(await attemptsOf(heard)).toHaveLength(1);
  });

  test('a prompt too long for one model is tried with the next', async () => {
    const heard = await hear('openai', 'whole', 'long');
    expect(heard.text).toBe(said);
    expect((await attemptsOf(heard))[0]?.outcome).toBe('context_length');
  });

  test('a target that fails again and again is asked last, until it does well', async () => {
    provider.script('scripted', 'status:500');
    for (let i = 0; i < 5; i++) await hear('openai', 'whole', 'tried');
    const asked = provider.callsOf('scripted');
    expect(asked).toBe(5);
    expect((await attemptsOf(await hear('openai', 'whole', 'tried'))).length).toBe(1);
    expect(provider.callsOf('scripted')).toBe(asked);
  });
});
