/**
 * `npm run bench -- --store`: the store with a month of calls (`--calls 10000000`; fewer by default), on SQLite and on
 * PostgreSQL: bytes of a row, microseconds to apply one, milliseconds of the console's queries, and what a running
 * gateway's calls notice of those and of retention. `--on sqlite` or `--on postgres`: on that one only.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Kysely, sql } from 'kysely';
import { createRecorder } from '../src/store/attempts.ts';
import { isPostgres } from '../src/store/dialect-of.ts';
import { openStore } from '../src/store/open.ts';
import { openQuestions, type Questions } from '../src/store/questions.ts';
import { removeOld } from '../src/store/retention.ts';
import type { Schema } from '../src/store/schema.ts';
import { postgres } from '../tests/servers.ts';
import { freePort, start } from './processes.ts';
import { makeCalls } from './store-calls.ts';

export interface StoreEffort {
  calls: number;
  on: readonly ('sqlite' | 'postgres')[];
  /** Of each look at a running gateway. */
  seconds: number;
}

type Db = Kysely<Schema>;

const dayMs = 86_400_000;
const monthMs = 30 * dayMs;
const root = fileURLToPath(new URL('..', import.meta.url));
/** Calls alone and beside something take turns, and are added up: the machine may have other work. */
const sliceSeconds = 1;
const tables = ['attempts', 'labels', 'rollups', 'days', 'latencies'] as const;

/** @returns lines to print. */
export async function benchStore(
  { calls, on, seconds }: StoreEffort,
  scratch: string,
  progress: (line: string) => void,
): Promise<string[]> {
  const lines: string[] = [];
  for (const kind of on) {
    const dataDir = join(scratch, kind);
    mkdirSync(dataDir, { recursive: true });
    const server = kind === 'postgres' ? await postgres() : undefined;
    const url = server === undefined ? 'sqlite' : await server.createDatabase();
    const toMs = Date.now();
    const say = (line: string) => {
      progress(`${kind}: ${line}`);
      lines.push(`${kind.padEnd(9)} ${line}`);
    };
    const store = await openStore(dataDir, url, { thread: 'beside' });
    try {
      say(await fill(dataDir, url, calls, toMs, progress));
      if (isPostgres(store.db)) await sql`analyze`.execute(store.db);
      say(await measureBytes(store.db, calls));
      const questions = openQuestions(dataDir, url);
      for (const line of await measureQueries(questions, toMs)) say(line);
      await questions.close();
      if (server !== undefined) say(yieldTo(server.dir));
      for (const line of await watchGateway(dataDir, url, store.db, toMs, seconds)) say(line);
    } finally {
      await store.close();
    }
  }
  return lines;
}

/** As far as one machine can, the database is on another: what it computes, calls need not wait for. */
function yieldTo(dir: string): string {
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'));
  // Connections made from now on inherit it.
  setPriority(pid, 15);
  return 'what follows is with a database that yields to the gateway, as if on a machine of its own (nice 15)';
}

async function fill(
  dataDir: string,
  url: string,
  calls: number,
  toMs: number,
  progress: (line: string) => void,
): Promise<string> {
  // As the applier does it: on its own thread, with a connection of the same.
  const store = await openStore(dataDir, url);
  const recorder = createRecorder(store.db, 'bench');
  // Fewer calls are fewer days, as dense as ten million a month.
  const fromMs = toMs - monthMs * Math.min(1, calls / 10_000_000);
  let done = 0;
  let wallMs = 0;
  let cpuMicros = 0;
  for (const batch of makeCalls(calls, { fromMs, toMs })) {
    const cpu = process.cpuUsage();
    const began = performance.now();
    await recorder.record(batch, `1:${done}`);
    wallMs += performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    cpuMicros += user + system;
    done += batch.length;
    if (done % 500_000 === 0) progress(`${done} calls, ${(wallMs / 1000).toFixed(0)} s`);
  }
  await store.sync();
  await store.close();
  const micros = (total: number) => (total / calls).toFixed(1);
  return `${calls} calls applied: ${micros(cpuMicros)} µs of CPU each, ${micros(wallMs * 1000)} µs in all`;
}

async function measureBytes(db: Db, calls: number): Promise<string> {
  const sizes: string[] = [];
  let attempts = 0;
  let all = 0;
  for (const table of tables) {
    const bytes = await sizeOf(db, table);
    if (table === 'attempts' || table === 'labels') attempts += bytes;
    all += bytes;
    sizes.push(`${table} ${(bytes / calls).toFixed(1)}`);
  }
  const each = (bytes: number) => (bytes / calls).toFixed(1);
  return `bytes a call, with indexes: row and its labels ${each(attempts)}, with sums ${each(all)} (${sizes.join(', ')})`;
}

async function sizeOf(db: Db, table: string): Promise<number> {
  const query = isPostgres(db)
    ? sql<{ bytes: number }>`select pg_total_relation_size(${table}::regclass) as bytes`
    : sql<{ bytes: number }>`
        select sum(pgsize) as bytes from dbstat where aggregate = true
        and name in (select name from sqlite_master where tbl_name = ${table})`;
  return Number((await query.execute(db)).rows[0]!.bytes);
}

async function measureQueries({ usage, calls, latencies }: Questions, toMs: number): Promise<string[]> {
  const since = toMs - monthMs;
  const [top] = await usage({ by: 'key_id', since });
  const key = [top!.key_id!];
  const queries: Record<string, () => Promise<unknown[]>> = {
    'cost by day and model, a month': () => usage({ by: ['day', 'model'], since }),
    'top keys, a month': () => usage({ by: 'key', since }),
    'cost by tag, a month': () => usage({ by: 'tag', since }),
    'cost by hour, a day': () => usage({ by: 'hour', since: toMs - dayMs }),
    'p95 by model, a month': () => latencies({ by: ['model'], since }),
    'last 100 calls of a key': () => calls({ filter: { key }, limit: 100 }),
    'last 100 failed calls': () => calls({ outcome: ['upstream_rate_limited'], limit: 100 }),
    'last 100 of a key and a model': () => calls({ filter: { key, model: ['model-3'] }, limit: 100 }),
  };
  const lines: string[] = [];
  for (const [name, run] of Object.entries(queries)) {
    const times: number[] = [];
    let rows = 0;
    for (let i = 0; i < 5; i++) {
      const began = performance.now();
      rows = (await run()).length;
      times.push(performance.now() - began);
    }
    const [first] = times;
    times.sort((a, b) => a - b);
    lines.push(`${name}: ${times[2]!.toFixed(0)} ms, ${first!.toFixed(0)} ms at first (${rows} rows)`);
  }
  return lines;
}

/** Calls of a gateway on this store: alone, while its console asks one question after another, and while retention removes. */
async function watchGateway(
  dataDir: string,
  url: string,
  db: Db,
  toMs: number,
  seconds: number,
): Promise<string[]> {
  const port = await freePort();
  const config = join(dataDir, 'sluice.yaml');
  writeFileSync(
    config,
    `listen: 127.0.0.1:${port}\ndata: ${dataDir}\nstore: "${url}"\nproviders: { mock: {} }\nkeys: [{ name: bench, key: sk-bench }]\n`,
  );
  const gateway = start('gateway', [
    process.execPath,
    join(root, 'src/main.ts'),
    'serve',
    '--config',
    config,
  ]);
  try {
    const base = `http://127.0.0.1:${port}`;
    for (let tries = 0; !(await fetch(`${base}/readyz`).catch(() => undefined))?.ok; tries++) {
      if (tries > 600 || gateway.exited()) throw new Error(`the gateway did not start: ${gateway.tail()}`);
      await Bun.sleep(100);
    }
    const token = /admin token\s+(\S+)/.exec(gateway.tail())?.[1];
    if (token === undefined) throw new Error(`the gateway has no admin token: ${gateway.tail()}`);
    await callFor(base, seconds);
    let removed = 0;
    const half = (toMs + (await oldest(db))) / 2;
    const remove = async (signal: AbortSignal) => {
      removed += (await removeOld(db, { callsMs: 1, plansMs: 1 }, half, { signal })) ?? 0;
    };
    const console = askConsole(base, token, toMs);
    await during(console.run, () => callFor(base, seconds / 2));
    const asked = console.asked();
    const beside = async (work: (signal: AbortSignal) => Promise<void>): Promise<string> => {
      const alone: number[] = [];
      const meanwhile: number[] = [];
      for (let passed = 0; passed < seconds; passed += sliceSeconds) {
        alone.push(...(await callFor(base, sliceSeconds)));
        meanwhile.push(...(await during(work, () => callFor(base, sliceSeconds))));
      }
      const added = quantile(meanwhile, 0.99) - quantile(alone, 0.99);
      return `p50 ${tell(meanwhile, 0.5)}, p99 ${tell(meanwhile, 0.99)}, alone ${tell(alone, 0.5)} and ${tell(alone, 0.99)}: p99 added ${added.toFixed(2)} ms`;
    };
    const questions = await beside(console.run);
    const perSecond = ((console.asked() - asked) / seconds).toFixed(0);
    const retention = await beside(remove);
    return [
      `calls while the console asks ${perSecond} questions a second: ${questions}`,
      `calls while retention removes (${removed} rows): ${retention}`,
    ];
  } finally {
    await gateway.stop();
  }
}

function tell(times: readonly number[], q: number): string {
  return `${quantile(times, q).toFixed(2)} ms`;
}

function quantile(times: readonly number[], q: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * q)]!;
}

async function oldest(db: Db): Promise<number> {
  const { at } = await db
    .selectFrom('attempts')
    .select((eb) => eb.fn.min('at').as('at'))
    .executeTakeFirstOrThrow();
  return Number(at);
}

/** One question after another until it is over. */
function askConsole(base: string, token: string, toMs: number) {
  const since = new Date(toMs - monthMs).toISOString();
  const questions = ['usage?by=day,model', 'usage?by=key', 'calls?outcome=ok'];
  let asked = 0;
  const run = async (signal: AbortSignal) => {
    for (; !signal.aborted; asked++) {
      const answer = await fetch(
        `${base}/admin/v1/${questions[asked % questions.length]}&since=${since}&limit=100`,
        { headers: { authorization: `Bearer ${token}` } },
      );
      const text = await answer.text();
      if (!answer.ok) throw new Error(`the admin API answered ${answer.status}: ${text}`);
    }
  };
  return { run, asked: () => asked };
}

async function during<T>(beside: (signal: AbortSignal) => Promise<void>, run: () => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const running = beside(stop.signal);
  try {
    return await run();
  } finally {
    stop.abort();
    await running;
  }
}

/** One call after another, some hundred a second. @returns the milliseconds of each. */
async function callFor(base: string, seconds: number): Promise<number[]> {
  const body = JSON.stringify({ model: 'mock/echo', messages: [{ role: 'user', content: 'Hello' }] });
  const headers = { authorization: 'Bearer sk-bench', 'content-type': 'application/json' };
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const began = performance.now();
    const answer = await fetch(`${base}/v1/chat/completions`, { method: 'POST', headers, body });
    await answer.arrayBuffer();
    times.push(performance.now() - began);
    if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`);
    await Bun.sleep(2);
  }
  return times;
}
