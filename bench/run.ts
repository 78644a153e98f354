/**
 * `npm run bench`: Sluice beside nginx and Portkey's gateway under the same load, in one run, as figures and ratios;
 * `--pairs` every client's dialect with every provider's instead; `--faults` what callers notice of providers that fail,
 * with Sluice alone; `--ledger` what limits and journal cost a call; `--store` the store with a month of calls (store.ts);
 * `--crash 100` kills it so many times and compares what is stored with what the provider counted. `--quick` measures the
 * same, and a few pairs, for a shorter time. Targets are printed beside the figures; missing one is no failure.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import portkeyPackage from '@portkey-ai/gateway/package.json';
import sluicePackage from '../package.json';
import { type Launch, nginxLaunch, portkeyLaunch, type Served, sluiceLaunch } from './contenders.ts';
import { measureCrashes } from './crash.ts';
import { formatFaults, measureFaults } from './faults.ts';
import { formatLedger, measureLedger } from './ledger.ts';
import { type Effort, measureAll, servedTo } from './measure.ts';
import { allPairs, fewPairs, measurePairs, type PairEffort, servedInPairs } from './pairs.ts';
import { formatPairsMarkdown, formatPairsText } from './pairs-report.ts';
import { freePort, start, stopAll } from './processes.ts';
import { type Circumstances, formatMarkdown, formatText } from './report.ts';
import { measureShared } from './shared-limits.ts';
import { benchStore } from './store.ts';

const full: Effort = {
  rounds: 3,
  seconds: 4,
  warmSeconds: 8,
  streams: 16,
  chunks: 2000,
  held: 1000,
  starts: 7,
  limitMs: 15 * 60_000,
};
const short: Effort = {
  ...full,
  rounds: 1,
  seconds: 1,
  warmSeconds: 2,
  chunks: 500,
  starts: 1,
  limitMs: 4 * 60_000,
};
const everyPair: PairEffort = {
  pairs: allPairs,
  rounds: 3,
  seconds: 1,
  warmSeconds: 40,
  streams: 16,
  chunks: 1000,
};
const somePairs: PairEffort = { ...everyPair, pairs: fewPairs, rounds: 1, warmSeconds: 4, chunks: 500 };

const root = fileURLToPath(new URL('..', import.meta.url));
const quick = process.argv.includes('--quick');
const onlyPairs = process.argv.includes('--pairs');
const onlyFaults = process.argv.includes('--faults');
const onlyStore = process.argv.includes('--store');
const onlyShared = process.argv.includes('--shared');
const onlyLedger = process.argv.includes('--ledger');
const crashes = process.argv.includes('--crash')
  ? Number(process.argv[process.argv.indexOf('--crash') + 1]) || 100
  : 0;
const effort = quick ? short : full;
const pairEffort = quick ? somePairs : everyPair;
/** What `npm run build` made. */
const built = [join(root, 'dist/sluice')];

const missing = (
  onlyShared ? ['redis-server'] : onlyFaults || onlyLedger || onlyStore || crashes > 0 ? [] : ['nginx', 'wrk']
).filter((tool) => Bun.which(tool) === null);
if (missing.length > 0) {
  process.stderr.write(
    `bench: ${missing.join(' and ')} not found on the PATH; apt-get install nginx wrk redis-server\n`,
  );
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'sluice-bench-'));

function leave(status: number): never {
  stopAll('SIGTERM');
  // nginx stops its worker on SIGTERM; who drains open calls instead is not waited for.
  Bun.sleepSync(200);
  stopAll('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
  process.exit(status);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => leave(130));
setTimeout(
  () => {
    process.stderr.write(`bench: not done after ${effort.limitMs / 60_000} minutes; stopped\n`);
    leave(1);
  },
  onlyStore ? 60 * 60_000 : effort.limitMs,
).unref();

function versionOf(command: string[], form: RegExp): string {
  const { stdout, stderr } = Bun.spawnSync(command);
  return form.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
}

const progress = (line: string) => {
  process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};

async function startUpstream(): Promise<number> {
  const port = await freePort();
  const upstream = start('upstream', [process.execPath, join(root, 'bench/upstream.ts'), String(port)]);
  for (let tries = 0; tries < 500; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/release`).catch(() => undefined);
    if (answer?.ok) return port;
    await Bun.sleep(10);
  }
  throw new Error(`the upstream did not start: ${upstream.tail()}`);
}

/** Node 20 or later runs it; where there is none, Bun has to. */
function launchPortkey(notes: string[]): Launch {
  const major = Bun.which('node') === null ? 0 : Number(versionOf(['node', '--version'], /v(\d+)/));
  if (major >= 20) return portkeyLaunch(portkeyPackage.version, 'node');
  notes.push('Portkey ran on Bun, as there is no Node 20 or later on the PATH.');
  return portkeyLaunch(portkeyPackage.version, process.execPath);
}

function circumstances(launches: readonly Launch[], notes: string[]): Circumstances {
  const flags = [...(onlyPairs ? ['--pairs'] : []), ...(quick ? ['--quick'] : [])];
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 1024 ** 3)} GB`,
    versions: Object.fromEntries(launches.map(({ name, version }) => [name, version])),
    runtime: `Bun ${Bun.version}, Node ${versionOf(['node', '--version'], /v(\S+)/)}`,
    command: ['npm run bench', ...(flags.length > 0 ? ['--', ...flags] : [])].join(' '),
    notes,
  };
}

/** Prints it, and keeps it under `.bench/`. */
function publish(name: string, report: object, text: string, markdown: string): void {
  mkdirSync(join(root, '.bench'), { recursive: true });
  writeFileSync(join(root, `.bench/${name}.md`), markdown);
  writeFileSync(join(root, `.bench/${name}.json`), `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(`\n${text}\n\n${markdown}`);
}

function launchSluice(upstreamPort: number, served: Served, program: string[] = built): Launch {
  return sluiceLaunch(sluicePackage.version, scratch, upstreamPort, served, program);
}

async function benchContenders(upstreamPort: number, nginx: Launch): Promise<void> {
  const notes = [
    'CPU is that of the gateway process with all its threads. nginx relays where the others translate.',
  ];
  const launches = [nginx, launchSluice(upstreamPort, servedTo(effort)), launchPortkey(notes)];
  const fromSource = launchSluice(upstreamPort, servedTo(effort), [
    process.execPath,
    join(root, 'src/main.ts'),
  ]);
  const figures = await measureAll({ scratch, upstreamPort, launches, fromSource, effort, notes, progress });
  const report = { ...circumstances(launches, notes), figures };
  publish('latest', report, formatText(report), formatMarkdown(report));
}

async function benchPairs(upstreamPort: number, nginx: Launch): Promise<void> {
  const notes = ['Where client and provider speak the same dialect, bytes are relayed.'];
  const sluice = launchSluice(upstreamPort, servedInPairs(pairEffort));
  const setting = { scratch, upstreamPort, nginx, sluice, effort: pairEffort, notes, progress };
  const report = { ...circumstances([nginx, sluice], notes), pairs: await measurePairs(setting) };
  publish('pairs', report, formatPairsText(report), formatPairsMarkdown(report));
}

async function benchFaults(): Promise<void> {
  const figures = await measureFaults({ scratch, program: built, seconds: quick ? 5 : 20, progress });
  process.stdout.write(`\n${formatFaults(figures)}\n`);
}

/** The value behind a flag. */
function flagValue(flag: string): string | undefined {
  const at = process.argv.indexOf(flag);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function benchStores(): Promise<void> {
  const calls = Number(flagValue('--calls') ?? (quick ? 100_000 : 500_000));
  const on = (['sqlite', 'postgres'] as const).filter((kind) => (flagValue('--on') ?? kind) === kind);
  const lines = await benchStore({ calls, on, seconds: quick ? 5 : 30 }, scratch, progress);
  process.stdout.write(`\n${lines.join('\n')}\n`);
}

try {
  if (onlyStore) {
    await benchStores();
    leave(0);
  }
  if (crashes > 0) {
    process.stdout.write(`\n${await measureCrashes(crashes, progress)}\n`);
    leave(0);
  }
  if (onlyLedger) {
    process.stdout.write(`\n${formatLedger(await measureLedger())}\n`);
    leave(0);
  }
  if (onlyShared) {
    process.stdout.write(`\n${await measureShared(quick ? 3 : 10, progress)}\n`);
    leave(0);
  }
  if (onlyFaults) {
    await benchFaults();
    leave(0);
  }
  const upstreamPort = await startUpstream();
  const nginx = nginxLaunch(versionOf(['nginx', '-v'], /nginx\/(\S+)/), scratch, upstreamPort);
  if (!onlyPairs) await benchContenders(upstreamPort, nginx);
  if (onlyPairs || quick) await benchPairs(upstreamPort, nginx);
  leave(0);
} catch (thrown) {
  process.stderr.write(`bench: ${thrown instanceof Error ? thrown.message : thrown}\n`);
  leave(1);
}
