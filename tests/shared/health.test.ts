/** Two gateways on one real Redis: what one learns of its providers, the other knows. */
import { afterAll, afterEach, describe, expect, test } from 'bun:test';
import type { HealthChange } from '../../src/core/health.ts';
import { HealthChannel } from '../../src/shared/health-channel.ts';
import { openRedis, type SharedRedis } from '../../src/shared/redis.ts';
import { type Answer, startAnswering } from '../e2e/answering.ts';
import { key, startGateway, type TestGateway, until } from '../e2e/gateway.ts';
import { redis } from '../servers.ts';

const upstream = startAnswering();
const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  upstream.answers.clear();
  upstream.asked.length = 0;
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(() => upstream.stop());

const broken: Answer = () =>
  Response.json({ error: { message: 'no', type: 'server_error' } }, { status: 503 });
const dead: Answer = () => Response.json({ error: { message: 'no', type: 'auth' } }, { status: 401 });

async function startNode(url: string): Promise<TestGateway> {
  const gateway = await startGateway(`
shared: ${url}
providers:
${upstream.provider('shaky')}
${upstream.provider('spare')}
${upstream.provider('pool', 'keys: [one, two]')}
models: { m: { fallback: [shaky/m, spare/m], retries: 0 } }
keys: [{ name: test, key: ${key} }]
`);
  stops.push(gateway.stop);
  return gateway;
}

const ask = (gateway: TestGateway, model = 'm') =>
  gateway.post('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hi' }] });
const target = (gateway: TestGateway) =>
  gateway.app.gateway.health.describe(Date.now()).targets.find(({ id }) => id === 'shaky/m');
const poolOf = (gateway: TestGateway) =>
  gateway.app.gateway.health.describe(Date.now()).providers.find(({ name }) => name === 'pool')?.keys;

async function breakOn(gateway: TestGateway): Promise<void> {
  upstream.answers.set('shaky', broken);
  while (target(gateway)?.state !== 'open') expect((await ask(gateway)).status).toBe(200);
}

describe('two gateways', () => {
  test('a target that fails on one is not asked by the other, and is again when it has recovered', async () => {
    const url = (await redis()).createDatabase();
    const [one, other] = [await startNode(url), await startNode(url)];
    await until(async () => {
      // Until both are connected nothing is heard.
      if (target(one)?.state !== 'open') await breakOn(one);
      return target(other)?.state === 'open';
    });
    upstream.asked.length = 0;
    if (target(other)?.state === 'open') {
      const answer = await ask(other);
      expect(answer.headers.get('x-sluice-target')).toBe('spare/m');
      expect(upstream.asked.map(({ path }) => path.split('/')[0])).not.toContain('shaky');
    }
    upstream.answers.clear();
    await until(async () => {
      await ask(one);
      return target(one)?.state !== 'open' && target(other)?.state !== 'open';
    });
    await until(async () => (await ask(other)).headers.get('x-sluice-target') === 'shaky/m');
  });

  test('a node that starts later knows what was learned before, and explains by it', async () => {
    const url = (await redis()).createDatabase();
    const one = await startNode(url);
    upstream.answers.set('pool', dead);
    await ask(one, 'pool/m');
    await until(() => poolOf(one)?.every(({ state }) => state === 'aside') === true);
    const late = await startNode(url);
    await until(() => poolOf(late)?.every(({ state }) => state === 'aside') === true);
  });
});

describe('the channel', () => {
  const open = (sinceMs: number): HealthChange => ({
    of: 'target',
    id: 'acme/m',
    state: 'open',
    sinceMs,
    untilMs: sinceMs + 10_000,
    lengthMs: 10_000,
    lastError: 'upstream_unavailable',
  });

  async function join(url: string, prefix = 'sluice') {
    const heard: HealthChange[] = [];
    let downs = 0;
    const link: SharedRedis = await openRedis({ url, prefix }, { onUp() {}, onDown: () => downs++ });
    const channel = new HealthChannel(link, { adopt: (change) => heard.push(change) }, () => 0);
    link.connect();
    stops.push(() => link.close());
    await until(() => link.up);
    return { link, channel, heard, downs: () => downs };
  }

  test('speaks in the time of Redis: a clock that is wrong by an hour misleads nobody', async () => {
    const url = (await redis()).createDatabase();
    const early = await join(url);
    const now = Date.now();
    // Its clock is an hour behind.
    early.link.offsetMs += 3_600_000;
    early.channel.publish(open(now - 3_600_000));
    const late = await join(url);
    await until(() => late.heard.length > 0);
    const [change] = late.heard;
    expect(change?.of === 'target' && Math.abs(change.sinceMs - now)).toBeLessThan(1_000);
    expect(early.heard).toEqual([]);
  });

  test('gateways of another prefix hear nothing, and neither do those of another database', async () => {
    const server = await redis();
    const url = server.createDatabase();
    const [one, namesake, stranger, away] = [
      await join(url),
      await join(url),
      await join(url, 'other'),
      await join(server.createDatabase()),
    ];
    await until(() => {
      one.channel.publish(open(Date.now()));
      return Bun.sleep(20).then(() => namesake.heard.length > 0);
    });
    expect([stranger.heard, away.heard]).toEqual([[], []]);
  });

  test('what was learned while Redis was away is told when it is back, only the last of each', async () => {
    const server = await redis();
    const url = server.createDatabase();
    const [one, other] = [await join(url), await join(url)];
    const now = Date.now();
    await server.stop();
    try {
      await until(() => !one.link.up && !other.link.up);
      one.channel.publish(open(now - 60_000));
      one.channel.publish(open(now));
    } finally {
      await server.start();
    }
    await until(() => other.heard.length > 0);
    expect(other.heard.every((each) => each.of === 'target' && each.sinceMs > now - 30_000)).toBe(true);
    expect(one.downs()).toBe(1);
  });

  test('what was said while a node could not hear, it reads as soon as it can again', async () => {
    const url = (await redis()).createDatabase();
    const [one, other] = [await join(url), await join(url)];
    await one.link.send('CLIENT', 'KILL', 'TYPE', 'pubsub');
    one.channel.publish(open(Date.now()));
    await until(() => other.heard.length > 0);
    expect(other.downs()).toBe(0);
  });

  test('what is not understood is not heard', async () => {
    const url = (await redis()).createDatabase();
    const [one, other] = [await join(url), await join(url)];
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"node":"x"}',
      '{"node":"x","change":{"of":"target","id":"a"}}',
    ])
      await one.link.publish('health', text);
    await until(() => {
      one.channel.publish(open(Date.now()));
      return Bun.sleep(20).then(() => other.heard.length > 0);
    });
    expect(other.heard.every(({ id }) => id === 'acme/m')).toBe(true);
  });
});
