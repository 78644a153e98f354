/**
 * Kills the gateway under load, again and again, and compares what the provider has counted with what is in the store.
 *
 * The fake provider keeps every request that reached it. For each of them the store must have one row, and that row's
 * charge is one of: what the provider's usage costs at the configured price, where the answer was settled; what was reserved
 * for it, as its dispatch in the journal says, where the gateway died in between (`interrupted`); nothing, where the provider
 * refused. Beside those there may be interrupted attempts that were written down and killed on their way. The sum over all
 * of these is what rows, roll-ups and `sluice usage` must come to.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEntries } from '../../src/ledger/entries.ts';
import { readDispatched } from '../../src/ledger/lines.ts';
import { journalStart } from '../../src/ledger/segments.ts';
import { selectAttempts, toRecord } from '../../src/store/calls.ts';
import { openStore } from '../../src/store/open.ts';
import { queryUsage, totalUsage } from '../../src/store/usage.ts';
import { startFakeProvider } from '../fake-provider.ts';
import { mistakesInBooks } from '../store/books.ts';
import { ask, makePlace, start, waitFor } from './program.ts';

const clients = 12;
/** 1000 tokens of input at 1 USD per million, 100 of output at 10. */
const answerNano = 1000 * 1000 + 100 * 10_000;
/** Where it does not refuse, the flaky model says the prompt again, and counts four characters a token. */
const flakyNano = (prompt: string): number => Math.ceil(prompt.length / 4) * (1000 + 10_000);

const configOf = (base: string, store: string): string => `
listen: 127.0.0.1:0
store: "${store}"
log: { level: warn }
providers:
  oa: { speaks: openai-chat, url: "${base}", key: up }
  an: { speaks: anthropic-messages, url: "${base}", key: up }
keys: [{ name: test, key: sk-test, limits: [{ usd: 100000, per: month }] }]
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
`;

/** What each client asks for: some hold streams open, the others ask one thing after another. */
const held = ['hanging', 'hanging', 'slow', 'slow'];
const quick = ['whole', 'translated', 'streamed', 'second'];
const streaming = new Set(['streamed', 'slow', 'hanging']);

export interface CrashOptions {
  kills: number;
  /** The configuration's `store`. */
  store: string;
  random(): number;
  progress?(line: string): void;
}

export interface CrashFigures {
  kills: number;
  /** Upstream requests that the provider counted. */
  reached: number;
  /** Rows of the store, beside which there is nothing. */
  rows: number;
  interrupted: number;
  /** Of those, written down and killed before they reached the provider. */
  unsent: number;
  /** Calls whose client heard the whole answer. */
  heard: number;
  /** What the provider's count comes to, and the store's rows, roll-ups and usage, in nano-dollars. */
  expectedNano: number;
  rowsNano: number;
  usageNano: number[];
  /** Everything that is not as it must be, in words; empty. */
  mistakes: string[];
}

interface Load {
  asked: number;
  heard: Set<string>;
}

/** One client: asks without pause until the gateway is gone. */
async function load(of: Load, client: number, url: string, gone: AbortSignal): Promise<void> {
  while (!gone.aborted) {
    const name = `call-${of.asked++}`;
    const model = held[client] ?? quick[of.asked % quick.length]!;
    const stream = streaming.has(model);
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk-test', 'x-sluice-session': name },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: name }] }),
      });
      const text = await response.text();
      const whole = stream ? text.trimEnd().endsWith('data: [DONE]') : text.endsWith('}');
      if (response.status === 200 && whole) of.heard.add(name);
    } catch {
      // The gateway died.
    }
  }
}

/** What was reserved for each attempt that a dead gateway has left in its journal, by call and attempt. */
function readReserved(dataDir: string, reserved: Map<string, number>): void {
  const reader = openEntries(dataDir);
  for (let part = reader.read(journalStart); part !== undefined; part = reader.read(part.next)) {
    for (const entry of part.entries)
      if (entry?.kind === 'd') reserved.set(entry.id, readDispatched(entry).reservedNanoUsd);
  }
  reader.close();
}

export async function crash({ kills, store, random, progress }: CrashOptions): Promise<CrashFigures> {
  const provider = await startFakeProvider();
  const place = makePlace();
  const dataDir = join(place.dir, 'sluice-data');
  const of: Load = { asked: 0, heard: new Set() };
  const reserved = new Map<string, number>();
  try {
    writeFileSync(join(place.dir, 'sluice.yaml'), configOf(provider.base, store));
    for (let i = 0; i < kills; i++) {
      const program = start([], { cwd: place.dir });
      if (i % 10 === 9) {
        // While it starts, and repairs what the one before has left.
        await Bun.sleep(50 + random() * 400);
      } else {
        const url = await program.listening();
        const gone = new AbortController();
        const before = provider.requests.length;
        const running = Array.from({ length: clients }, (_, client) => load(of, client, url, gone.signal));
        await waitFor(() => (provider.requests.length > before + 30 ? true : undefined));
        await Bun.sleep(random() * 300);
        gone.abort();
        program.child.kill('SIGKILL');
        await Promise.all(running);
      }
      program.child.kill('SIGKILL');
      await program.ended;
      readReserved(dataDir, reserved);
      progress?.(`killed ${i + 1} times, ${provider.requests.length} attempts`);
    }
    // Streams were in flight each time: the provider saw them break off.
    await waitFor(() => (provider.mock.counters.open === 0 ? true : undefined));
    const reached = provider.requests.map(({ body }) => `${callOf(body)} ${body?.model}`);
    const last = start([], { cwd: place.dir });
    const url = await last.listening();
    await (await ask(url, 'sk-test', 'whole')).text();
    if ((await last.stop()) !== 0) throw new Error(`It did not end well: ${last.stderr()}`);
    const figures = await compare(dataDir, store, { reached, reserved, heard: of.heard });
    return { kills, ...figures };
  } finally {
    await provider.stop();
    place.remove();
  }
}

interface Seen {
  reached: readonly string[];
  reserved: ReadonlyMap<string, number>;
  heard: ReadonlySet<string>;
}

async function compare(dataDir: string, url: string, { reached, reserved, heard }: Seen) {
  const store = await openStore(dataDir, url);
  const rows = (await selectAttempts(store.db).execute()).map(toRecord);
  const usages = await Promise.all(
    (['model', 'key', 'provider'] as const).map((by) => queryUsage(store.db, { by })),
  );
  const mistakes = await mistakesInBooks(store.db);
  await store.close();
  const usageNano = usages.map((usage) => nanoOf(totalUsage(usage).usd));
  const must = (holds: boolean, what: string) => {
    if (!holds) mistakes.push(what);
  };
  const named = rows.filter(({ session }) => session !== '');
  const nameOf = (row: (typeof rows)[number]) =>
    `${row.session} ${row.target.slice(row.target.indexOf('/') + 1)}`;
  const counted = countBy(reached);
  const stored = countBy(named.map(nameOf));
  for (const [attempt, times] of counted)
    must(
      stored.get(attempt) === times,
      `${attempt}: ${times} at the provider, ${stored.get(attempt)} stored`,
    );

  let [expectedNano, interrupted, unsent] = [answerNano * (rows.length - named.length), 0, 0];
  for (const row of named) {
    const id = `${row.call} ${row.attempt}`;
    const there = counted.has(nameOf(row));
    let nano = 0;
    if (row.outcome === 'interrupted') {
      interrupted++;
      if (!there) unsent++;
      nano = reserved.get(id) ?? Number.NaN;
      must(nano > 0 && row.estimated === 1, `${id} was interrupted, with ${nano} reserved`);
    } else {
      must(there, `${id} ${row.outcome} was never at the provider`);
      if (row.outcome === 'ok') nano = row.target.includes('flaky') ? flakyNano(row.session) : answerNano;
    }
    must(row.nano_usd === nano, `${id} ${row.outcome} is charged ${row.nano_usd}, not ${nano}`);
    expectedNano += nano;
  }
  const identities = new Set(rows.map(({ call, attempt }) => `${call} ${attempt}`));
  must(identities.size === rows.length, 'an attempt is stored twice');
  const finals = countBy(named.filter(({ final }) => final === 1).map(({ call }) => call));
  for (const { call } of named)
    must(finals.get(call) === 1, `${call} has ${finals.get(call)} final attempts`);
  const endings = new Map(named.filter(({ final }) => final === 1).map((row) => [row.session, row.outcome]));
  for (const name of heard)
    must(endings.get(name) === 'ok', `${name} was heard, and ended ${endings.get(name)}`);
  const rowsNano = rows.reduce((sum, row) => sum + (row.nano_usd ?? 0), 0);
  for (const nano of usageNano) must(nano === rowsNano, `usage comes to ${nano}, the rows to ${rowsNano}`);
  must(rowsNano === expectedNano, `the rows come to ${rowsNano}, not ${expectedNano}`);
  return {
    reached: reached.length,
    rows: rows.length,
    interrupted,
    unsent,
    heard: heard.size,
    expectedNano,
    rowsNano,
    usageNano,
    mistakes,
  };
}

/** The call a request at the provider belongs to: its name is the prompt. */
function callOf(body: unknown): string {
  return /call-\d+/.exec(JSON.stringify(body))?.[0] ?? '';
}

function countBy(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** A decimal string of USD as nano-dollars, exactly. */
function nanoOf(usd: string): number {
  const [whole = '0', fraction = ''] = usd.split('.');
  return Number(whole) * 1e9 + Number(fraction.padEnd(9, '0'));
}
