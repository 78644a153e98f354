/** Who is compared: nginx as plain reverse proxy, Sluice with everything on, and Portkey's gateway. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { familyOf, freePort, type Started, start } from './processes.ts';

export const contenderNames = ['nginx', 'sluice', 'portkey'] as const;
export type ContenderName = (typeof contenderNames)[number];

/** What a call asks for: `model` decides what the upstream does, `translated` in which dialect it is asked. */
export interface Ask {
  model: string;
  translated?: boolean;
  stream?: boolean;
}

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
const key = 'sk-bench-0123456789abcdef0123456789abcdef';

/** Streams of the benchmark: chunks and pace in ms, 0 for as fast as it goes. */
export interface Pace {
  chunks: number;
  paceMs: number;
}

export const streamModel = ({ chunks, paceMs }: Pace) => `bench-${chunks}x${paceMs}`;

/** The same bytes for everybody: a chat of usual size in Chat Completions. */
export function writeBody(
  ask: Ask,
  prompt = 'How long do we have until the tide turns, and who is on watch?',
): string {
  return JSON.stringify({
    // Whoever routes by name finds the provider of the other dialect under this one.
    model: ask.translated ? `t-${ask.model}` : ask.model,
    messages: [
      {
        role: 'system',
        content: 'You are the harbour master. Answer in one paragraph, and name the hours. '.repeat(4),
      },
      { role: 'user', content: 'When does the harbour open?' },
      { role: 'assistant', content: 'At six, and the tide is with us until half past nine.' },
      { role: 'user', content: prompt },
    ],
    temperature: 0.7,
    max_tokens: 512,
    ...(ask.stream && { stream: true }),
  });
}

/** The same headers for everybody: each takes its own and leaves the others'. */
export function callHeaders(upstreamPort: number, translated: boolean): Record<string, string> {
  return {
    'content-type': 'application/json',
    authorization: `Bearer ${key}`,
    'x-portkey-provider': translated ? 'anthropic' : 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
  };
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

/**
 * Sluice as in production: a key, two limits and a budget on it, prices, the journal and its worker. Its models have
 * another name at the provider, so that every body is edited.
 * @param program what `npm run build` made, or Bun and the sources.
 */
export function sluiceLaunch(
  version: string,
  scratch: string,
  upstreamPort: number,
  models: string[],
  program: string[],
): Launch {
  const config = join(scratch, 'sluice.yaml');
  writeFileSync(config, sluiceConfig(upstreamPort, models));
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

function sluiceConfig(upstreamPort: number, models: string[]): string {
  const url = `http://127.0.0.1:${upstreamPort}/v1`;
  const lines = (write: (model: string) => string) => models.map(write).join('\n');
  return `
log: { level: warn }
providers:
  mock: {}
  up: { speaks: openai-chat, url: "${url}", key: upstream-key }
  upa: { speaks: anthropic-messages, url: "${url}", key: upstream-key }
models:
${lines((model) => `  ${model}: up/own-${model}\n  t-${model}: upa/own-${model}`)}
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
${lines((model) => `  up/own-${model}: { input: 0.4, output: 1.6, cached: 0.1 }\n  upa/own-${model}: { input: 3, output: 15, cached: 0.3 }`)}
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
  const body = writeBody({ model: launch.firstModel });
  const headers = callHeaders(upstreamPort, false);
  let last = '';
  while (!process.exited() && performance.now() - spawned < maxMs) {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
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
