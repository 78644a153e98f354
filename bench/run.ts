/**
 * `npm run bench`: Sluice beside nginx and Portkey's gateway under the same load, in one run, as figures and ratios.
 * `--quick` measures the same for a shorter time. Targets are printed beside the figures; missing one is no failure.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import portkeyPackage from '@portkey-ai/gateway/package.json';
import sluicePackage from '../package.json';
import { type Launch, nginxLaunch, portkeyLaunch, sluiceLaunch } from './contenders.ts';
import { type Effort, measureAll, modelsOf, type Setting } from './measure.ts';
import { freePort, start, stopAll } from './processes.ts';
import { formatMarkdown, formatText } from './report.ts';

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
  limitMs: 3 * 60_000,
};

const root = fileURLToPath(new URL('..', import.meta.url));
const quick = process.argv.includes('--quick');
const effort = quick ? short : full;

const missing = ['nginx', 'wrk'].filter((tool) => Bun.which(tool) === null);
if (missing.length > 0) {
  process.stderr.write(`bench: ${missing.join(' and ')} not found on the PATH; apt-get install nginx wrk\n`);
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
setTimeout(() => {
  process.stderr.write(`bench: not done after ${effort.limitMs / 60_000} minutes; stopped\n`);
  leave(1);
}, effort.limitMs).unref();

function versionOf(command: string[], form: RegExp): string {
  const { stdout, stderr } = Bun.spawnSync(command);
  return form.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
}

const notes = [
  'CPU is that of the gateway process with all its threads. nginx relays where the others translate.',
];
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
function launchPortkey(): Launch {
  const major = Bun.which('node') === null ? 0 : Number(versionOf(['node', '--version'], /v(\d+)/));
  if (major >= 20) return portkeyLaunch(portkeyPackage.version, 'node');
  notes.push('Portkey ran on Bun, as there is no Node 20 or later on the PATH.');
  return portkeyLaunch(portkeyPackage.version, process.execPath);
}

try {
  const upstreamPort = await startUpstream();
  const launchSluice = (program: string[]) =>
    sluiceLaunch(sluicePackage.version, scratch, upstreamPort, modelsOf(effort), program);
  const launches = [
    nginxLaunch(versionOf(['nginx', '-v'], /nginx\/(\S+)/), scratch, upstreamPort),
    launchSluice([join(root, 'dist/sluice')]),
    launchPortkey(),
  ];
  const fromSource = launchSluice([process.execPath, join(root, 'src/main.ts')]);
  const setting: Setting = { scratch, upstreamPort, launches, fromSource, effort, notes, progress };
  const figures = await measureAll(setting);
  const report = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 1024 ** 3)} GB`,
    versions: {
      nginx: launches[0]!.version,
      sluice: launches[1]!.version,
      portkey: launches[2]!.version,
    },
    runtime: `Bun ${Bun.version}, Node ${versionOf(['node', '--version'], /v(\S+)/)}`,
    command: quick ? 'npm run bench -- --quick' : 'npm run bench',
    notes,
    figures,
  };
  const markdown = formatMarkdown(report);
  mkdirSync(join(root, '.bench'), { recursive: true });
  writeFileSync(join(root, '.bench/latest.md'), markdown);
  writeFileSync(join(root, '.bench/latest.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(`\n${formatText(report)}\n\n${markdown}`);
  leave(0);
} catch (thrown) {
  process.stderr.write(`bench: ${thrown instanceof Error ? thrown.message : thrown}\n`);
  leave(1);
}
