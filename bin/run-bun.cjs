/**
 * Finds the Bun that npm installed and runs it: `node bin/run-bun.cjs FILE ARGS`.
 * Plain CommonJS: it has to work on any Node from 20 on, before anything else does.
 */
const { spawn } = require('node:child_process');
const { existsSync, statSync } = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');

/** Bun's default of 256 upstream requests at once is far too few for a gateway; it is read at process start only. */
const maxHttpRequests = '65336';
/** Signals reach us twice when npm passes on what the terminal sent to all: within this time they are one. */
const sameSignalMs = 300;

/** Where npm keeps the binary: in a package per platform, from which Bun's install script, if it runs, moves it. */
function findBun() {
  const { resolve } = createRequire(__filename);
  const locate = (name, file) => {
    try {
      return join(dirname(resolve(`${name}/package.json`)), 'bin', file);
    } catch {
      return '';
    }
  };
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const system =
    process.platform === 'win32' ? 'windows' : process.platform === 'android' ? 'linux' : process.platform;
  const binary = process.platform === 'win32' ? 'bun.exe' : 'bun';
  const packages = ['', '-musl', '-android'].map((libc) =>
    locate(`@oven/bun-${system}-${arch}${libc}`, binary),
  );
  // Until the install script has run, bun.exe is a few lines of text.
  return [...packages, locate('bun', 'bun.exe')].find(
    (path) => existsSync(path) && statSync(path).size > 1e6,
  );
}

/** Runs Bun with `args`, as if it had been started in our place: same streams, signals and exit code. */
function runBun(args) {
  const bun = findBun();
  if (bun === undefined) return fail('dependencies are missing; run: npm install');
  const child = spawn(bun, args, {
    stdio: 'inherit',
    env: {
      BUN_CONFIG_MAX_HTTP_REQUESTS: maxHttpRequests,
      ...process.env,
      SLUICE_LAUNCHER: String(process.pid),
    },
    // In a group of its own, so that Ctrl-C reaches it through us and only once.
    detached: process.platform !== 'win32',
  });
  const sentAt = {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = Date.now();
      if (now - (sentAt[signal] ?? 0) < sameSignalMs) return;
      sentAt[signal] = now;
      child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`Bun cannot be started (${error.message}); run: npm install`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(message) {
  process.stderr.write(`sluice: ${message}\n`);
  process.exit(1);
}

module.exports = { runBun, findBun };
if (require.main === module) runBun(process.argv.slice(2));
