/** `npm test`: the whole suite, then the end-to-end tests once more with all traffic sent through the hub. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { findBun } = createRequire(import.meta.url)('./run-bun.cjs');
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const only = process.argv.slice(2);

const passes =
  only.length > 0
    ? [{ name: 'chosen tests', args: only, env: {} }]
    : [
        { name: 'all tests', args: ['tests'], env: {} },
        { name: 'end to end, translated', args: ['tests/e2e'], env: { SLUICE_FORCE_TRANSLATE: '1' } },
      ];

const total = { pass: 0, fail: 0, skip: 0 };
const failures = [];
let broken = false;
// Tests mostly wait for one another's sockets: both passes at once take little longer than one.
const running = passes.map(({ name, args, env }, i) => ({
  name,
  ...run(['test', '--timeout', '30000', ...args], env, i > 0),
}));
for (const { name, show, ended } of running) {
  process.stdout.write(`\n== ${name}\n`);
  show();
  const { code, output } = await ended;
  for (const kind of Object.keys(total)) total[kind] += countOf(output, kind);
  failures.push(...failuresIn(output));
  broken ||= code !== 0;
}
// Once more where a reader of a long log looks first: at its end.
if (failures.length > 0) process.stdout.write(`\n== what failed\n${failures.join('\n')}\n`);
const skipped = total.skip > 0 ? `, ${total.skip} skipped` : '';
process.stdout.write(`\n${total.pass} passed, ${total.fail} failed${skipped}\n`);
process.exitCode = broken || total.fail > 0 ? 1 : 0;

/** Bun prints its results on standard error: passed on, where `quiet` from `show` on only, and kept for the count. */
function run(args, env, quiet) {
  const child = spawn(findBun(), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { BUN_CONFIG_MAX_HTTP_REQUESTS: '65336', ...process.env, ...env },
  });
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += chunk;
    if (!quiet) print(chunk.toString());
  });
  return {
    show() {
      if (quiet) print(output);
      quiet = false;
    },
    ended: new Promise((resolve) => {
      child.on('close', (code) => resolve({ code, output }));
    }),
  };
}

/** What passes is only counted. */
function print(text) {
  process.stderr.write(text.replace(/^\((?:pass|skip)\).*\n/gm, ''));
}

/** Each failed test with its file and what was said of it: Bun prints a test's errors before its result. */
function failuresIn(output) {
  const found = [];
  let file = '';
  let said = [];
  for (const line of output.split('\n')) {
    if (/^\S+\.test\.tsx?:$/.test(line)) file = line;
    if (line.startsWith('(fail)')) found.push([file, ...said.slice(-60), line].join('\n'));
    said = /^\((pass|skip|fail|todo)\)|^\S+\.test\.tsx?:$/.test(line) ? [] : [...said.slice(-60), line];
  }
  return found;
}

/** From the summary: ` 31 pass`. */
function countOf(output, kind) {
  return Number(new RegExp(`^\\s*(\\d+) ${kind}$`, 'm').exec(output)?.[1] ?? 0);
}
