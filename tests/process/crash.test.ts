/** Killed at any moment: nothing that left for a provider is forgotten, nothing is counted twice. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../src/store/open.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { ask, killRunning, makePlace, type Place, run, start, waitFor } from './program.ts';

const kills = 5;
const loadMs = 250;
const clients = 12;

let provider: FakeProvider;
let place: Place;

beforeAll(async () => {
  provider = await startFakeProvider();
  place = makePlace();
  writeFileSync(
    join(place.dir, 'sluice.yaml'),
    `
listen: 127.0.0.1:0
log: { level: warn }
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
keys: [{ name: test, key: sk-test, limits: [{ usd: 1000, per: month }] }]
models:
  whole: "oa/usage:input=1000,output=100"
  translated: "an/usage:input=1000,output=100"
  streamed: "oa/usage:input=1000,output=100,chunks=20,delay=5ms"
  slow: "an/usage:input=1000,output=100,chunks=100,delay=20ms"
  hanging: oa/stall:3
  second: { fallback: ["oa/flaky:0.5", "an/usage:input=1000,output=100"] }
prices:
  "oa/usage:input=1000,output=100": { input: 1, output: 10 }
  "an/usage:input=1000,output=100": { input: 1, output: 10 }
  "oa/usage:input=1000,output=100,chunks=20,delay=5ms": { input: 1, output: 10 }
  "an/usage:input=1000,output=100,chunks=100,delay=20ms": { input: 1, output: 10 }
  oa/stall:3: { input: 1, output: 10 }
  "oa/flaky:0.5": { input: 1, output: 10 }
`,
  );
});

afterAll(async () => {
  killRunning();
  await provider.stop();
  place.remove();
});

/** What each client asks for: some hold streams open, the others ask one thing after another. */
const held = ['hanging', 'hanging', 'slow', 'slow'];
const quick = ['whole', 'translated', 'streamed', 'second'];
const streaming = new Set(['streamed', 'slow', 'hanging']);
let asked = 0;
/** Calls whose client heard the whole answer. */
const heard = new Set<string>();

/** One client: asks without pause until the gateway is gone. */
async function load(client: number, url: string, gone: AbortSignal): Promise<void> {
  while (!gone.aborted) {
    const name = `call-${asked++}`;
    const model = held[client] ?? quick[asked % quick.length]!;
    const stream = streaming.has(model);
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk-test', 'x-sluice-session': name },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: name }] }),
      });
      const text = await response.text();
      const whole = stream ? text.trimEnd().endsWith('data: [DONE]') : text.endsWith('}');
      if (response.status === 200 && whole) heard.add(name);
    } catch {
      // The gateway died.
    }
  }
}

/** The call a request at the provider belongs to: its name is the prompt. */
function callOf(body: unknown): string {
  return /call-\d+/.exec(JSON.stringify(body))?.[0] ?? '';
}

test('after kill -9 under load, five times, every attempt is in the store exactly once', async () => {
  for (let i = 0; i < kills; i++) {
    const program = start([], { cwd: place.dir });
    const url = await program.listening();
    const gone = new AbortController();
    const before = provider.requests.length;
    const running = Array.from({ length: clients }, (_, client) => load(client, url, gone.signal));
    await waitFor(() => (provider.requests.length > before + 30 ? true : undefined));
    await Bun.sleep(loadMs);
    gone.abort();
    program.child.kill('SIGKILL');
    expect((await program.ended).signal).toBe('SIGKILL');
    await Promise.all(running);
  }
  // Streams were in flight each time: the provider saw them break off.
  await waitFor(() => (provider.mock.counters.open === 0 ? true : undefined));

  const last = start([], { cwd: place.dir });
  const url = await last.listening();
  expect((await ask(url, 'sk-test', 'whole')).status).toBe(200);
  provider.requests.pop();
  expect(await last.stop()).toBe(0);

  const store = await openStore(join(place.dir, 'sluice-data'), 'sqlite');
  const rows = await store.db
    .selectFrom('attempts')
    .innerJoin('series', 'series.id', 'attempts.series')
    .selectAll()
    .execute();
  await store.close();

  const identities = rows.map(({ call, attempt }) => `${call} ${attempt}`);
  expect(new Set(identities).size).toBe(identities.length);

  const named = rows.filter(({ session }) => session !== '');
  const stored = countBy(
    named.map(({ session, target }) => `${session} ${target.slice(target.indexOf('/') + 1)}`),
  );
  const reached = countBy(provider.requests.map(({ body }) => `${callOf(body)} ${body?.model}`));
  expect(reached.size).toBeGreaterThan(100);
  for (const [attempt, times] of reached) expect([attempt, stored.get(attempt)]).toEqual([attempt, times]);
  // What is there beyond that was killed on its way.
  const unsent = named.filter(
    (row) => !reached.has(`${row.session} ${row.target.slice(row.target.indexOf('/') + 1)}`),
  );
  for (const row of unsent) expect(row.outcome).toBe('interrupted');

  const finals = countBy(named.filter(({ final }) => final === 1).map(({ call }) => call));
  for (const { call } of named) expect([call, finals.get(call)]).toEqual([call, 1]);

  const interrupted = named.filter(({ outcome }) => outcome === 'interrupted');
  expect(interrupted.length).toBeGreaterThan(0);
  // What they cost nobody knows: what was held for them is charged, so that a crash gives no budget back.
  for (const row of interrupted) {
    expect(row.estimated).toBe(1);
    expect(row.nano_usd).toBeGreaterThan(0);
  }

  // Whoever heard the end of an answer finds it settled, to the nano-dollar.
  expect(heard.size).toBeGreaterThan(20);
  const priced = 1000 * 1000 + 100 * 10_000;
  for (const name of heard) {
    const final = named.find((row) => row.session === name && row.final === 1);
    expect([name, final?.outcome]).toEqual([name, 'ok']);
    if (!final!.target.includes('flaky')) expect(final?.nano_usd).toBe(priced);
  }

  const total = rows.reduce((sum, row) => sum + (row.nano_usd ?? 0), 0);
  for (const by of ['model', 'key', 'provider']) {
    const { stdout } = await run(['usage', '--by', by, '--format', 'json'], { cwd: place.dir });
    const usage = JSON.parse(stdout) as { usd: string; attempts: number; calls: number }[];
    expect(usage.reduce((sum, { usd }) => sum + nano(usd), 0)).toBe(total);
    expect(usage.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(rows.length);
    expect(usage.reduce((sum, { calls }) => sum + calls, 0)).toBe(
      rows.filter(({ final }) => final === 1).length,
    );
  }
}, 60_000);

function countBy(names: string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** A decimal string of USD as nano-dollars, exactly. */
function nano(usd: string): number {
  const [whole = '0', fraction = ''] = usd.split('.');
  return Number(whole) * 1e9 + Number(fraction.padEnd(9, '0'));
}
