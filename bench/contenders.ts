/** Who is compared: nginx as plain reverse proxy, Sluice with everything on, and Portkey's gateway. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  askAs,
  key,
  modelAt,
  type ProviderDialect,
  providerBases,
  type Question,
  type Sent,
} from './asks.ts';
import { familyOf, freePort, type Started, start } from './processes.ts';

export const contenderNames = ['nginx', 'sluice', 'portkey'] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface Contender {
  name: ContenderName;
  port: number;
  pids: number[];
  process: Started;
}

export interface Launch {
  name: ContenderName;
  version: string;
  /** Remarks on how it runs, for the report. */
  note?: string;
  /** Starts it on a free port; `dataDir` is for those that keep data. @returns before it answers. */
  launch(dataDir: string): Promise<{ port: number; process: Started }>;
  /** The model of the first call after the start. */
  firstModel: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/** Streams of the benchmark: chunks and pace in ms, 0 for as fast as it goes. */
export interface Pace {
  chunks: number;
  paceMs: number;
}

export const streamModel = ({ chunks, paceMs }: Pace) => `bench-${chunks}x${paceMs}`;

/**
 * The same bytes for everybody, in Chat Completions; of the headers, each takes its own and leaves the others'.
 * @param translated the provider speaks another dialect.
 */
export function askEverybody(asked: Question, upstreamPort: number, translated = false): Sent {
  const sent = askAs('openai-chat', asked);
  const portkey = {
    'x-portkey-provider': translated ? 'anthropic' : 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
  };
  return { ...sent, headers: { ...sent.headers, ...portkey } };
}

export function nginxLaunch(version: string, scratch: string, upstreamPort: number): Launch {
  return {
    name: 'nginx',
    version,
    firstModel: 'bench',
    async launch() {
      const port = await freePort();
      const dir = join(scratch, `nginx-${port}`);
      mkdirSync(dir);
      writeFileSync(join(dir, 'nginx.conf'), nginxConfig(dir, port, upstreamPort));
      const command = ['nginx', '-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')];
      return { port, process: start('nginx', command) };
    },
  };
}

/** A plain relay that does for streams what a gateway must: nothing held back, connections kept. */
function nginxConfig(dir: string, port: number, upstreamPort: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${dir}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}
  keepalive_requests 100000000;
  client_max_body_size 64m;
  upstream provider {
    server 127.0.0.1:${upstreamPort};
    keepalive 2048;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 10m;
    }
  }
}
`;
}

/** A provider for each of these dialects, and every model at each of them. */
export interface Served {
  providers: readonly ProviderDialect[];
  models: readonly string[];
}

/**
 * Sluice as in production: a key, two limits and a budget on it, prices, the journal and its worker. Its models have
 * another name at the provider, so that every body is edited.
 * @param program what `npm run build` made, or Bun and the sources.
 */
export function sluiceLaunch(
  version: string,
  scratch: string,
  upstreamPort: number,
  served: Served,
  program: string[],
): Launch {
  const config = join(scratch, `sluice-${served.providers.length}.yaml`);
  writeFileSync(config, sluiceConfig(upstreamPort, served));
  return {
    name: 'sluice',
    version,
    firstModel: 'mock/echo',
    async launch(dataDir) {
      const port = await freePort();
      const flags = ['serve', '--config', config, '--port', String(port), '--data', dataDir];
      const env = { BUN_CONFIG_MAX_HTTP_REQUESTS: '65336' };
      return { port, process: start('sluice', [...program, ...flags], env) };
    },
  };
}

function sluiceConfig(upstreamPort: number, { providers, models }: Served): string {
  const entries = providers.map((dialect) => {
    const url = `http://127.0.0.1:${upstreamPort}${providerBases[dialect]}`;
    return `  up-${dialect}: { speaks: ${dialect}, url: "${url}", key: upstream-key }`;
  });
  const targets = providers.flatMap((dialect) =>
    models.map((model) => ({ name: modelAt(dialect, model), target: `up-${dialect}/own-${model}` })),
  );
  return `
log: { level: warn }
providers:
  mock: {}
${entries.join('\n')}
models:
${targets.map(({ name, target }) => `  ${name}: ${target}`).join('\n')}
keys:
  - name: bench
    key: ${key}
    team: load
    limits:
      - { requests: 1000000000, per: minute }
      - { concurrency: 100000 }
      - { usd: 1000000, per: day }
teams: { load: { organisation: bench } }
prices:
${targets.map(({ target }) => `  ${target}: { input: 0.4, output: 1.6, cached: 0.1 }`).join('\n')}
`;
}

/** @param runtime `node`, or Bun where Node cannot run it. */
export function portkeyLaunch(version: string, runtime: string): Launch {
  const script = join(root, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  return {
    name: 'portkey',
    version,
    firstModel: 'bench',
    async launch() {
      const port = await freePort();
      const command = [runtime, script, `--port=${port}`, '--headless'];
      return { port, process: start('portkey', command, { NODE_ENV: 'production' }) };
    },
  };
}

/** @throws Error with what the process said when it does not answer within `maxMs`. @returns it and the ms it took. */
export async function startAnswering(
  launch: Launch,
  dataDir: string,
  upstreamPort: number,
  maxMs = 15_000,
): Promise<{ contender: Contender; ms: number }> {
  const spawned = performance.now();
  const { port, process } = await launch.launch(dataDir);
  const { path, headers, body } = askEverybody({ model: launch.firstModel }, upstreamPort);
  let last = '';
  while (!process.exited() && performance.now() - spawned < maxMs) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        body,
        headers,
      });
      const text = await answer.text();
      if (answer.ok && text.includes('"choices"')) {
        const ms = performance.now() - spawned;
        return { contender: { name: launch.name, port, process, pids: familyOf(process.pid) }, ms };
      }
      last = text.slice(0, 500);
    } catch {
      // Not listening yet.
    }
    await Bun.sleep(2);
  }
  await process.stop();
  throw new Error(`${launch.name} did not answer: ${last || process.tail() || 'it said nothing'}`);
}
