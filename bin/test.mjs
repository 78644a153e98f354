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
  broken ||= code !== 0;
}
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

/** From the summary: ` 31 pass`. */
function countOf(output, kind) {
  return Number(new RegExp(`^\\s*(\\d+) ${kind}$`, 'm').exec(output)?.[1] ?? 0);
}
