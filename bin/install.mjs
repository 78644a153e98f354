/**
 * Installs what package-lock.json names, when it is not there already: only what running needs, or with --dev what
 * building and testing need too. Run before `npm start` and `npm test`; knows nothing but Node.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dev = process.argv.includes('--dev');

/** The packages of a lock file by folder; none when there is no such file. npm keeps one of what it installed. */
function readPackages(...path) {
  try {
    return JSON.parse(readFileSync(join(root, ...path), 'utf8')).packages ?? {};
  } catch {
    return {};
  }
}

/** Packages of other platforms are optional, and rightly absent. */
function isInstalled() {
  const installed = readPackages('node_modules', '.package-lock.json');
  return Object.entries(readPackages('package-lock.json')).every(([folder, entry]) => {
    if (folder === '' || entry.optional || entry.devOptional || (entry.dev && !dev)) return true;
    return installed[folder]?.version === entry.version && existsSync(join(root, folder));
  });
}

/**
 * `npm ci` would be stricter, but refuses a lock file in which the optional binaries of another platform are missing,
 * and empties the folder first. `--no-save` leaves both package files alone; versions come from the lock file.
 */
function install() {
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const args = [...first, 'install', ...flags, dev ? '--include=dev' : '--omit=dev'];
  return spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, npm_config_update_notifier: 'false' },
    shell: process.platform === 'win32' && command === 'npm',
  });
}

if (!isInstalled()) {
  process.stderr.write('sluice: installing dependencies, once\n');
  const { status, error, stderr } = install();
  if (error !== undefined || status !== 0) {
    const reason =
      error?.message ??
      stderr
        .split('\n')
        .find((line) => line.startsWith('npm error'))
        ?.slice('npm error '.length) ??
      `status ${status}`;
    process.stderr.write(
      `sluice: the dependencies could not be installed (${reason}); see to the network, then run: npm install\n`,
    );
    process.exit(1);
  }
}
