/** Whose health streams speak for: they tell how a target does when they end, not when they begin. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { TargetReport } from '../../src/core/health.ts';
import { startGateway, type TestGateway, until } from './gateway.ts';

/** What a target's stream does after its first words: all of them, until it is told otherwise. */
type End = 'done' | 'cut';

const plays = new Map<string, End | Promise<End>>();
const asked: string[] = [];
let upstream: ReturnType<typeof Bun.serve>;
let gateway: TestGateway;

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`;

async function* tell(model: string): AsyncGenerator<string> {
  yield chunk({ role: 'assistant', content: 'Once upon ' });
  const end = await (plays.get(model) ?? 'done');
  if (end === 'done') yield `${chunk({ content: 'a time.' })}${chunk({}, 'stop')}data: [DONE]\n\n`;
}

const silence = (model: string) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model,
  choices: [{ index: 0, message: { role: 'assistant', content: '' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 0, total_tokens: 1 },
});

beforeAll(async () => {
  upstream = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 255,
    async fetch(request) {
      const { model, stream } = (await request.json()) as { model: string; stream?: boolean };
      asked.push(model);
      if (stream !== true) return Response.json(silence(model));
      // An async iterable is a body to Bun, though not to the types.
      const body = tell(model) as unknown as ReadableStream;
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    },
  });
  gateway = await startGateway(`
providers:
  p: { speaks: openai-chat, url: "http://127.0.0.1:${upstream.port}/v1", key: up }
  deepseek: { speaks: openai-chat, url: "http://127.0.0.1:${upstream.port}/v1", key: up }
models:
  resumed: { fallback: [p/cuts, p/tells], resume: continue }
  trial: { fallback: [p/trial, p/spare] }
  leaves: { fallback: [p/leaves, p/spare] }
  quiet: { fallback: [p/quiet, p/spare] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await upstream.stop(true);
});

const call = (model: string, init: { stream?: boolean; n?: number; signal?: AbortSignal } = {}) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test-key', 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      stream: init.stream ?? true,
      n: init.n,
      messages: [{ role: 'user', content: 'Tell me.' }],
    }),
    signal: init.signal,
  });

/** The whole of a stream. */
const hear = async (model: string) => (await call(model)).text();
const stateOf = (model: string): TargetReport | undefined =>
  gateway.app.gateway.health.describe(Date.now()).targets.find(({ id }) => id.endsWith(`/${model}`));
const asksOf = (model: string) => asked.filter((each) => each === model).length;

/** Begins a stream and reads its first words. */
async function begin(model: string, signal?: AbortSignal) {
  const response = await call(model, { signal });
  const reader = response.body!.getReader();
  await reader.read();
  return {
    target: response.headers.get('x-sluice-target'),
    async rest() {
      while (!(await reader.read()).done);
    },
  };
}

async function openBreaker(route: string, model: string): Promise<void> {
  plays.set(model, 'cut');
  for (let i = 0; i < 5; i++) await hear(route);
  expect(stateOf(model)?.state).not.toBe('closed');
  await until(() => stateOf(model)?.state === 'half-open');
}

describe('a target that cuts its streams', () => {
  test('has failed once with each of them', async () => {
    plays.set('counted', 'cut');
    for (let i = 0; i < 3; i++) expect(await hear('p/counted')).toContain('before the answer was complete');
    expect(stateOf('counted')).toMatchObject({ failures: 3, recent: { calls: 3, failed: 3 } });
  });

  test('has failed once with several that are one answer', async () => {
    plays.set('several', 'cut');
    for (let i = 0; i < 3; i++)
      expect(await (await call('deepseek/several', { n: 2 })).text()).toContain(
        'before the answer was complete',
      );
    expect(asksOf('several')).toBe(6);
    expect(stateOf('several')).toMatchObject({ failures: 3, recent: { calls: 3, failed: 3 } });
    plays.set('several', 'done');
    expect(await (await call('deepseek/several', { n: 2 })).text()).toContain('[DONE]');
    expect(stateOf('several')).toMatchObject({ failures: 0, recent: { calls: 4, failed: 3 } });
  });

  test('gets no more of them, also where another goes on with each', async () => {
    plays.set('cuts', 'cut');
    for (let i = 0; i < 5; i++) expect(await hear('resumed')).toContain('sluice-resumed target=p/tells');
    expect(asksOf('cuts')).toBe(5);
    expect(stateOf('cuts')?.state).not.toBe('closed');
    expect(stateOf('tells')).toBeUndefined();
  });
});

describe('a stream that is to find out whether a target does well again', () => {
  test('tells so at its end: until then no other call is sent there, and a cut one sets it aside for longer', async () => {
    await openBreaker('trial', 'trial');
    const before = stateOf('trial')!;
    const cut = Promise.withResolvers<End>();
    plays.set('trial', cut.promise);
    const trial = await begin('trial');
    expect(trial.target).toBe('p/trial');
    expect(stateOf('trial')?.state).toBe('half-open');
    expect((await begin('trial')).target).toBe('p/spare');
    cut.resolve('cut');
    await trial.rest();
    const after = stateOf('trial')!;
    expect(after.sinceMs).toBeGreaterThan(before.sinceMs!);
    // Three quarters of two seconds at least, where the first time was one at most.
    expect(after.untilMs! - after.sinceMs!).toBeGreaterThanOrEqual(1500);
    await until(() => stateOf('trial')?.state === 'half-open');
    plays.set('trial', 'done');
    expect(await hear('trial')).toContain('a time.');
    expect(stateOf('trial')?.state).toBe('closed');
  }, 20_000);

  test('leaves that to another where its client leaves, and speaks neither for the target nor against it', async () => {
    await openBreaker('leaves', 'leaves');
    const { failures } = stateOf('leaves')!;
    plays.set('leaves', Promise.withResolvers<End>().promise);
    const client = new AbortController();
    expect((await begin('leaves', client.signal)).target).toBe('p/leaves');
    client.abort();
    await until(() => gateway.app.gateway.inflight.count === 0);
    expect(stateOf('leaves')).toMatchObject({ state: 'half-open', failures });
    plays.set('leaves', 'done');
    expect((await begin('leaves')).target).toBe('p/leaves');
    await until(() => stateOf('leaves')?.state === 'closed');
  }, 20_000);
});

describe('a target that answers without a word', () => {
  test('is passed over and not set aside: the client may have asked for that', async () => {
    for (let i = 0; i < 6; i++) {
      const { headers } = await call('quiet', { stream: false });
      // The last one has nobody behind it, and may be as silent.
      expect([headers.get('x-sluice-target'), headers.get('x-sluice-attempts')]).toEqual(['p/spare', '2']);
    }
    expect(asksOf('quiet')).toBe(6);
    expect(stateOf('quiet')).toBeUndefined();
  });
});
