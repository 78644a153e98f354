/** A gateway killed in the middle of realtime sessions: what was done is kept, what was not is charged as interrupted. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../src/store/open.ts';
import { until } from '../e2e/gateway.ts';
import { Client, startUpstream, type Upstream, usageOf } from '../e2e/realtime-peers.ts';
import { recordedAttempts } from '../store/recorded-attempts.ts';
import { killRunning, makePlace, type Place, start, waitFor } from './program.ts';

let upstream: Upstream;
let place: Place;

beforeAll(() => {
  upstream = startUpstream();
  place = makePlace();
  writeFileSync(
    join(place.dir, 'sluice.yaml'),
    `
listen: 127.0.0.1:0
log: { level: debug }
providers:
  rt: { speaks: openai-chat, url: "${upstream.url}/v1", key: up }
keys: [{ name: test, key: sk-test, limits: [{ usd: 10, per: month }, { requests: 100, per: month }] }]
prices: { rt/gpt: { input: 1, output: 10 } }
`,
  );
});

afterAll(async () => {
  killRunning();
  await upstream.stop();
  place.remove();
});

const words = 'xylophone-secret';

async function talk(url: string, session: string): Promise<Client> {
  const before = upstream.held.length;
  const client = await Client.dial(`${url}/v1/realtime?model=rt/gpt`, {
    headers: { 'x-sluice-session': session },
    protocols: ['realtime', 'openai-insecure-api-key.sk-test'],
  });
  await waitFor(() => (upstream.held.length > before ? true : undefined));
  const provider = upstream.last();
  client.ask(words);
  provider.say({ type: 'response.created', response: { id: 'r' } });
  provider.say({ type: 'response.output_text.delta', delta: words });
  provider.say({
    type: 'response.done',
    response: { id: 'r', status: 'completed', usage: usageOf(100, 10) },
  });
  provider.say({ type: 'response.created', response: { id: 'r2' } });
  provider.say({ type: 'response.output_text.delta', delta: words });
  await client.event('response.output_text.delta', 2);
  return client;
}

test('after kill -9 every answer is there once, and the sessions are interrupted', async () => {
  const program = start([], { cwd: place.dir });
  const url = await program.listening();
  const ended = await talk(url, 'ended');
  await ended.end();
  const clients = await Promise.all([talk(url, 'killed-1')]);
  clients.push(await talk(url, 'killed-2'));
  program.child.kill('SIGKILL');
  expect((await program.ended).signal).toBe('SIGKILL');
  for (const client of clients) expect((await client.gone()).code).toBe(1006);
  await until(() => upstream.held.every(({ closed }) => closed !== undefined));

  const last = start([], { cwd: place.dir });
  await last.listening();
  expect(await last.stop()).toBe(0);

  const store = await openStore(join(place.dir, 'sluice-data'), 'sqlite');
  const rows = await recordedAttempts(store);
  await store.close();
  const of = (session: string) =>
    rows
      .filter((row) => row.session === session)
      .map(({ attempt, outcome, final, estimated, nano_usd }) => ({
        attempt,
        outcome,
        final,
        estimated,
        nano_usd,
      }));
  const done = { attempt: 1, outcome: 'ok', final: 0, estimated: 0, nano_usd: 200_000 };
  expect(of('ended')).toMatchObject([done, { attempt: 2, outcome: 'cancelled', final: 1, estimated: 1 }]);
  for (const session of ['killed-1', 'killed-2']) {
    const found = of(session);
    expect(found).toMatchObject([done, { attempt: 2, outcome: 'interrupted', final: 1, estimated: 1 }]);
    // A crash gives no budget back: what was held for the answer is charged.
    expect(found[1]!.nano_usd).toBeGreaterThan(1024 * 10_000 - 1);
  }

  // Neither what was said nor any key is in the logs or the journal.
  const written = [program.stdout(), program.stderr(), last.stdout(), last.stderr()];
  for (const name of readdirSync(join(place.dir, 'sluice-data'), { recursive: true }) as string[]) {
    if (!name.endsWith('.jsonl')) continue;
    written.push(readFileSync(join(place.dir, 'sluice-data', name), 'utf8'));
  }
  for (const text of written) {
    expect(text).not.toInclude(words);
    expect(text).not.toInclude('sk-test');
  }
  expect(program.stderr() + program.stdout()).toInclude('realtime');
}, 30_000);
