/**
 * What callers notice when a fifth of all upstream calls fails, in mixed ways, and the gateway has two healthy
 * alternatives: `npm run bench -- --faults`, or `bun bench/faults.ts` for the sources as they are.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, type Started, start, stopAll } from './processes.ts';
import { amount, textTable } from './report.ts';

export interface FaultsSetting {
  scratch: string;
  /** What runs the gateway. */
  program: string[];
  /** Under load; beside it come some seconds for the time that failover takes. */
  seconds: number;
  progress(line: string): void;
}

export interface FaultFigure {
  name: string;
  value: number;
  unit: string;
  target?: { text: string; met: boolean };
}

interface UpstreamFigures {
  calls: number;
  failed: number;
  gapsMs: number[];
}

const connections = 64;
const key = 'sk-bench';
/** Enough of them that those which are set aside for a second after a 429 are never all. */
const keys = Array.from({ length: 400 }, (_, i) => `up-${i}`);
/**
 * A model for each connection: what fails comes back to it in good order, so that no target is ever set aside, and a
 * fifth fails all the time. What health makes of it is seen with one model and one key, `one`.
 */
const flaky = Array.from({ length: connections }, (_, i) => `flaky-${i}`);
const root = fileURLToPath(new URL('..', import.meta.url));

const config = (port: number): string => `
log: { level: silent }
providers:
  first: { speaks: openai-chat, url: "http://127.0.0.1:${port}/v1", keys: [${keys.join(', ')}], timeout: { first_byte: 400ms } }
  second: { speaks: openai-chat, url: "http://127.0.0.1:${port}/v1", key: up }
  third: { speaks: openai-chat, url: "http://127.0.0.1:${port}/v1", key: up }
  alone: { speaks: openai-chat, url: "http://127.0.0.1:${port}/v1", key: up, timeout: { first_byte: 400ms } }
models:
  one: { fallback: [alone/flaky-one, second/steady, third/steady] }
  steady: second/steady
${flaky.map((name) => `  ${name}: { fallback: [first/${name}, second/steady, third/steady] }`).join('\n')}
prices:
${flaky.map((name) => `  first/${name}: { input: 1, output: 1 }`).join('\n')}
  alone/flaky-one: { input: 1, output: 1 }
  second/steady: { input: 1, output: 1 }
  third/steady: { input: 1, output: 1 }
keys: [{ name: bench, key: ${key} }]
`;

async function startBoth({ scratch, program }: FaultsSetting): Promise<{ port: number; upstream: number }> {
  const [port, upstream] = [await freePort(), await freePort()];
  const file = join(scratch, 'faults.yaml');
  writeFileSync(file, config(upstream));
  const provider = start('upstream', [
    process.execPath,
    join(root, 'bench/faulty-upstream.ts'),
    String(upstream),
  ]);
  const flags = ['serve', '--config', file, '--port', String(port), '--data', join(scratch, 'faults')];
  const gateway = start('sluice', [...program, ...flags]);
  await ready(provider, `http://127.0.0.1:${upstream}/figures`);
  await ready(gateway, `http://127.0.0.1:${port}/readyz`);
  return { port, upstream };
}

async function ready(process: Started, url: string): Promise<void> {
  for (let tries = 0; tries < 1500 && !process.exited(); tries++) {
    if (
      await fetch(url).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
    await Bun.sleep(10);
  }
  throw new Error(`${process.name} did not start: ${process.tail()}`);
}

let calls = 0;

/** @returns whether the answer was whole. */
async function call(port: number, model: string): Promise<boolean> {
  const number = ++calls;
  const stream = number % 2 === 0;
  const messages = [{ role: 'user', content: `call-${number}` }];
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, stream }),
    });
    const text = await answer.text();
    return answer.ok && text.includes('"stop"') && (!stream || text.endsWith('data: [DONE]\n\n'));
  } catch {
    return false;
  }
}

/** One call after another on each of so many connections. */
async function load(port: number, models: readonly string[], seconds: number) {
  const until = performance.now() + seconds * 1000;
  const sum = { calls: 0, answered: 0 };
  const ask = async (model: string) => {
    while (performance.now() < until) {
      const answered = await call(port, model);
      sum.calls++;
      if (answered) sum.answered++;
    }
  };
  await Promise.all(models.map(ask));
  return sum;
}

export async function measureFaults(setting: FaultsSetting): Promise<FaultFigure[]> {
  const { progress, seconds } = setting;
  const { port, upstream } = await startBoth(setting);
  const tell = async () =>
    (await (await fetch(`http://127.0.0.1:${upstream}/figures`)).json()) as UpstreamFigures;
  progress('warming up');
  await load(
    port,
    flaky.map(() => 'steady'),
    2,
  );
  await load(port, flaky, 2);
  await tell();
  progress(`a fifth fails, ${connections} connections`);
  const loaded = await load(port, flaky, seconds);
  const { calls: asked, failed } = await tell();
  progress('the same of one model with one key');
  const together = await load(
    port,
    flaky.map(() => 'one'),
    Math.max(3, seconds / 3),
  );
  const { calls: askedTogether, failed: failedTogether } = await tell();
  progress('a fifth fails, one connection');
  await load(port, flaky.slice(0, 1), Math.max(3, seconds / 3));
  const gapsMs = (await tell()).gapsMs.sort((a, b) => a - b);
  const gap = (share: number): number => gapsMs[Math.floor(gapsMs.length * share)] ?? Number.NaN;
  const success = (loaded.answered / loaded.calls) * 100;
  return [
    { name: `calls at ${connections} connections`, value: loaded.calls, unit: '' },
    { name: 'upstream calls that failed', value: (failed / asked) * 100, unit: '%' },
    {
      name: 'callers with a whole answer',
      value: success,
      unit: '%',
      target: { text: '≥ 99.9 %', met: success >= 99.9 },
    },
    {
      name: 'the same of one model with one key, which is set aside now and then',
      value: (together.answered / together.calls) * 100,
      unit: '%',
      target: { text: '≥ 99.9 %', met: together.answered >= together.calls * 0.999 },
    },
    {
      name: 'upstream calls that failed then',
      value: (failedTogether / askedTogether) * 100,
      unit: '%',
    },
    { name: 'calls that failed over on an idle gateway', value: gapsMs.length, unit: '' },
    {
      name: 'from a failure to the next attempt, both by the upstream’s clock: median',
      value: gap(0.5),
      unit: 'ms',
      target: { text: '< 1 ms', met: gap(0.5) < 1 },
    },
    { name: '99 of 100', value: gap(0.99), unit: 'ms' },
  ];
}

export function formatFaults(figures: readonly FaultFigure[]): string {
  const rows = figures.map(({ name, value, unit, target }) => [
    name,
    unit === '' ? value.toLocaleString('en') : `${unit === '%' ? value.toFixed(3) : amount(value)} ${unit}`,
    target?.text ?? '',
    target === undefined ? '' : target.met ? 'met' : 'missed',
  ]);
  return textTable([['', 'Sluice', 'target', ''], ...rows], 2).join('\n');
}

if (import.meta.main) {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
  const seconds = process.argv.includes('--quick') ? 5 : 20;
  const program = [process.execPath, join(root, 'src/main.ts')];
  try {
    const progress = (line: string) => process.stderr.write(`${line}\n`);
    process.stdout.write(`\n${formatFaults(await measureFaults({ scratch, program, seconds, progress }))}\n`);
  } finally {
    stopAll('SIGTERM');
    await Bun.sleep(300);
    stopAll('SIGKILL');
    rmSync(scratch, { recursive: true, force: true });
  }
  process.exit(0);
}
