/** `sluice serve`: starts the gateway and tells, once, what is needed to call it. */
import type { Command } from 'commander';
import { type App, startApp } from '../app.ts';
import { configFromEnvironment, loadConfig } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import type { Config } from '../config/schema.ts';
import { createLog } from '../observe/log.ts';
import type { FirstSecrets } from '../store/first-start.ts';
import { commandName } from './command-name.ts';
import { defaultConfigFile, findConfigFile } from './config-file.ts';
import { readPort } from './port.ts';

interface Flags {
  config?: string;
  port?: number;
  data?: string;
}

/** Busy connections bring another call within this time; those that do not are closed. */
const lingerMs = 1000;

export function addServeCommand(program: Command): void {
  program
    .command('serve', { isDefault: true })
    .description('start the gateway')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigFile} where there is one)`)
    .option('-p, --port <n>', 'port to listen on, 0 for a free one (default: 4000)', readPort)
    .option('-d, --data <dir>', 'directory of journal and store (default: ./sluice-data)')
    // As the default command it gets every word that is no command's name.
    .allowExcessArguments()
    .action((flags: Flags, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) command.error(`error: unknown command '${word}'`);
      return runServe(flags);
    });
}

async function runServe(flags: Flags): Promise<void> {
  const file = findConfigFile(flags.config);
  const config = readConfigOrExit(file, flags);
  const log = createLog(config.log.level);
  // Keys' hashes and who called what are nobody else's business on this machine.
  process.umask(0o077);
  let app: App;
  try {
    app = await startApp({
      config,
      configFile: file,
      env: process.env,
      overrides: (fresh) => override(fresh, flags),
      log,
      onFirstSecrets: (secrets) => process.stdout.write(`${secretLines(secrets).join('\n')}\n`),
    });
  } catch (thrown) {
    fail(startFailure(thrown, config));
  }
  let stopping = false;
  const stop = (lingerMs: number) => {
    // A second signal means now.
    if (stopping) process.exit(130);
    stopping = true;
    void app.stop(lingerMs).then(() => process.exit(0));
  };
  process.on('SIGINT', () => stop(0));
  // Whoever starts and stops many has a load balancer in front of them.
  process.on('SIGTERM', () => stop(lingerMs));
  stopWithLauncher(() => stopping || stop(0));
  // Last: whoever reads that it listens may tell it to stop at once.
  welcome(app, file);
}

function readConfigOrExit(file: string | undefined, flags: Flags): Config {
  let config: Config;
  if (file === undefined) config = configFromEnvironment(process.env);
  else {
    const loaded = loadConfig(file, process.env);
    if (loaded.config === undefined) {
      process.stderr.write(`${formatMistakes(file, loaded.mistakes)}\n`);
      process.exit(2);
    }
    config = loaded.config;
  }
  return override(config, flags);
}

function override(config: Config, flags: Flags): Config {
  return {
    ...config,
    listen: { ...config.listen, port: flags.port ?? config.listen.port },
    data: flags.data ?? config.data,
  };
}

function startFailure(thrown: unknown, config: Config): string {
  const { code, message } = thrown as { code?: string; message?: string };
  const { host, port } = config.listen;
  if (code === 'EADDRINUSE')
    return `Port ${port} on ${host} is taken. Choose another with --port N, or stop what uses it.`;
  if (code === 'EACCES')
    return `Not allowed to listen on ${host}:${port}. Choose a port above 1023 with --port N.`;
  if (code === 'EADDRNOTAVAIL')
    return `${host} is not an address of this machine. Change \`listen\` in the configuration.`;
  return message ?? String(thrown);
}

function fail(line: string): never {
  process.stderr.write(`sluice: ${line}\n`);
  process.exit(1);
}

function welcome(app: App, file: string | undefined): void {
  const lines = [`Sluice is listening on ${app.url}`];
  const snapshot = app.snapshot();
  const providers = [...snapshot.providers.keys()].join(', ');
  lines.push(
    `  providers  ${providers}${file === undefined ? ' (from the environment; mock needs no account)' : ''}`,
  );
  const secrets = app.firstSecrets;
  if (secrets !== undefined) {
    lines.push(...secretLines(secrets));
    const model = snapshot.providers.has('mock') ? 'mock/echo' : snapshot.listed[0];
    if (secrets.key !== undefined && model !== undefined) {
      lines.push('', 'Try it:', '', curl(app.url, secrets.key, model));
    }
  } else if (snapshot.keys.size === 0) {
    const keys = app.knowsStore()
      ? `made before; another one: ${commandName} keys create --name NAME`
      : 'not known until the store can be reached';
    lines.push(`  keys       ${keys}`);
  }
  process.stdout.write(`${lines.join('\n')}\n\n`);
}

function secretLines({ key, adminToken }: FirstSecrets): string[] {
  const lines = ['', 'Shown once, kept only as hashes:'];
  if (key !== undefined) lines.push(`  API key      ${key}`);
  return [...lines, `  admin token  ${adminToken}`];
}

function curl(url: string, key: string, model: string): string {
  return (
    `curl ${url}/v1/chat/completions -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' ` +
    `-d '{"model":"${model}","messages":[{"role":"user","content":"Hello, Sluice!"}]}'`
  );
}

/** The launcher passes signals on; when it is killed outright, nobody else knows that this process is there. */
function stopWithLauncher(stop: () => void): void {
  const launcher = Number(process.env.SLUICE_LAUNCHER);
  // The variable is inherited: it may speak of a launcher further up.
  if (process.ppid !== launcher) return;
  setInterval(() => {
    if (process.ppid !== launcher) stop();
  }, 1000).unref();
}
