/** A real PostgreSQL and a real Redis for tests: one of each per test process, gone when that process is, however it ends. */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  chownSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Client } from 'pg';

export interface TestServer {
  port: number;
  /** Its data and its log. */
  dir: string;
  /** Kills it as a power cut would, clients' connections with it. PostgreSQL keeps what was committed, Redis nothing. */
  stop(): Promise<void>;
  /** Starts it again, on the same port and data. */
  start(): Promise<void>;
  /** It hangs: connections stay open, new ones are taken by the kernel, nobody answers. */
  pause(): void;
  resume(): void;
}

export interface PostgresServer extends TestServer {
  /** @returns the URL of a new, empty database. */
  createDatabase(): Promise<string>;
  /** URL of any of its databases, by name: `postgres` always exists. */
  urlOf(database: string): string;
}

export interface RedisServer extends TestServer {
  /** @returns the URL of a database that nobody used: only publish and subscribe are shared with others. */
  createDatabase(): string;
}

let sharedPostgres: Promise<PostgresServer> | undefined;
let sharedRedis: Promise<RedisServer> | undefined;

/** The one that all test files share: who stops or pauses it starts or resumes it in a `finally`. */
export function postgres(): Promise<PostgresServer> {
  sharedPostgres ??= startPostgres();
  return sharedPostgres;
}

/** The one that all test files share: who stops or pauses it starts or resumes it in a `finally`. */
export function redis(): Promise<RedisServer> {
  sharedRedis ??= startRedis();
  return sharedRedis;
}

async function startPostgres(): Promise<PostgresServer> {
  const hint = 'apt-get install postgresql';
  const initdb = findProgram('initdb', hint);
  const program = findProgram('postgres', hint);
  const dir = mkdtempSync(join(tmpdir(), 'sluice-postgres-'));
  const user = unprivileged(dir);
  const data = join(dir, 'data');
  const init = [
    ...user,
    initdb,
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
  ];
  execFileSync(init[0]!, init.slice(1), { stdio: ['ignore', 'ignore', 'inherit'], cwd: dir });
  const port = await freePort();
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const query = async (sql: string) => {
    const client = new Client({ connectionString: urlOf('postgres'), connectionTimeoutMillis: 2000 });
    // A connection that breaks is reported by the promises.
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query(sql);
    } finally {
      await client.end().catch(() => {});
    }
  };
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: dir,
    fsync: 'off',
    full_page_writes: 'off',
    max_connections: 300,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = await keep(dir, 'QUIT', [...user, program, '-D', data, ...args], port, () =>
    query('select 1'),
  );
  let databases = 0;
  return {
    ...server,
    urlOf,
    async createDatabase() {
      const name = `test_${++databases}`;
      await query(`create database ${name}`);
      return urlOf(name);
    },
  };
}

async function startRedis(): Promise<RedisServer> {
  const program = findProgram('redis-server', 'apt-get install redis-server');
  const dir = mkdtempSync(join(tmpdir(), 'sluice-redis-'));
  const user = unprivileged(dir);
  const port = await freePort();
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--databases', '4096'];
  const command = [...user, program, '--port', String(port), '--dir', dir, ...settings];
  const server = await keep(dir, 'KILL', command, port, () => ping(port));
  let databases = 0;
  return { ...server, createDatabase: () => `redis://127.0.0.1:${port}/${++databases}` };
}

/**
 * Does as the pipe says; when that ends, since the test process is gone, the server ends too and nothing of it is left
 * on the disk. A process of its own, and no handler of ours: those do not run at `kill -9`. Not our child either: Bun
 * kills those of a test that takes too long.
 */
const keeper = `
pid=
dir=$1 signal=$2
shift 2
end() {
  [ -n "$pid" ] || return
  kill -CONT $pid $(cat /proc/$pid/task/$pid/children)
  kill -$signal $pid
  wait $pid
  pid=
}
{
  while read -r order; do
    case $order in
      start) "$@" </dev/null >>"$dir/log" 2>&1 & pid=$!; echo $pid >"$dir/pid" ;;
      stop) end; rm "$dir/pid" ;;
    esac
  done
  end
  rm -rf "$dir"
} <"$dir/orders" >/dev/null 2>&1
`;

async function keep(
  dir: string,
  stopSignal: string,
  command: string[],
  port: number,
  ask: () => Promise<unknown>,
): Promise<TestServer> {
  const orders = join(dir, 'orders');
  execFileSync('mkfifo', [orders]);
  // For reading too: otherwise opening would wait for the keeper.
  const pipe = openSync(orders, 'r+');
  execFileSync(
    'sh',
    ['-c', 'setsid sh -c "$@" >/dev/null 2>&1 &', 'sh', keeper, 'keeper', dir, stopSignal, ...command],
    {
      cwd: dir,
    },
  );
  const pidFile = join(dir, 'pid');
  const order = async (word: 'start' | 'stop') => {
    writeSync(pipe, `${word}\n`);
    while (existsSync(pidFile) !== (word === 'start')) await Bun.sleep(5);
  };
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    const pid = readFileSync(pidFile, 'utf8').trim();
    process.kill(Number(pid), name);
    // PostgreSQL's connections are processes of their own, and may end at any moment.
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    for (const child of children) {
      try {
        process.kill(Number(child), name);
      } catch {}
    }
  };
  const start = async () => {
    await order('start');
    await answered(ask, () => readFileSync(join(dir, 'log'), 'utf8'));
  };
  await start();
  return {
    port,
    dir,
    start,
    stop: () => order('stop'),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  };
}

async function answered(ask: () => Promise<unknown>, log: () => string): Promise<void> {
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      if (Date.now() > until) throw new Error(`A test server does not start: ${error}\n${log()}`);
      await Bun.sleep(20);
    }
  }
}

function ping(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error('Redis does not answer.'));
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: (socket) => void socket.write('PING\r\n'),
        data(socket, bytes) {
          if (bytes.toString().startsWith('+PONG')) resolve();
          socket.end();
        },
        close: fail,
      },
    }).catch(reject);
  });
}

/** Neither server likes to be root. @returns what to put before a command. */
function unprivileged(dir: string): string[] {
  if (process.getuid?.() !== 0) return [];
  const [user, uid] = identify('postgres') ?? identify('nobody')!;
  chownSync(dir, uid, -1);
  return ['setpriv', `--reuid=${user}`, '--clear-groups'];
}

function identify(user: string): [user: string, uid: number] | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${user}:`));
  return line === undefined ? undefined : [user, Number(line.split(':')[2])];
}

/** On the path, or where Debian puts PostgreSQL's programs, the newest first. */
function findProgram(name: string, hint: string): string {
  const debian = '/usr/lib/postgresql';
  let versions: string[] = [];
  try {
    versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
  } catch {}
  const dirs = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((v) => join(debian, v, 'bin'))];
  for (const dir of dirs) {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return join(dir, name);
    } catch {}
  }
  throw new Error(`These tests need ${name}, which is not installed: ${hint}`);
}

/** Below those that the kernel gives to outgoing connections: it is still free when a server that was stopped starts again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
