/** The servers of the tests themselves: they stop, hang, come back, and leave nothing behind. */
import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { postgres, redis } from './servers.ts';

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    client.end().catch(() => {});
  }
}

async function say(url: string, command: string): Promise<string> {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    Bun.connect({
      hostname: '127.0.0.1',
      port: Number(port),
      socket: {
        open: (socket) => void socket.write(`${command}\r\n`),
        data(socket, bytes) {
          resolve(bytes.toString().trim());
          socket.end();
        },
      },
    }).catch(reject);
  });
}

test('PostgreSQL keeps what was committed when it is stopped, and answers again when it is started', async () => {
  const server = await postgres();
  const [one, two] = [await server.createDatabase(), await server.createDatabase()];
  await ask(one, 'create table kept (n int)');
  expect(await ask(two, "select to_regclass('kept') as found")).toEqual([{ found: null }]);
  await server.stop();
  try {
    await expect(ask(one, 'select 1')).rejects.toThrow();
  } finally {
    await server.start();
  }
  expect(await ask(one, 'select count(*)::int as n from kept')).toEqual([{ n: 0 }]);
  server.pause();
  try {
    await expect(ask(one, 'select 1')).rejects.toThrow('timeout');
  } finally {
    server.resume();
  }
  expect(await ask(one, 'select 1 as n')).toEqual([{ n: 1 }]);
});

test('Redis forgets when it is stopped, and answers again when it is started', async () => {
  const server = await redis();
  const url = server.createDatabase();
  expect(server.createDatabase()).not.toBe(url);
  expect(await say(url, 'SET a b')).toBe('+OK');
  await server.stop();
  try {
    await expect(say(url, 'PING')).rejects.toThrow();
  } finally {
    await server.start();
  }
  expect(await say(url, 'GET a')).toBe('$-1');
});

test('nothing is left of them when the test process is killed, also while one hangs', async () => {
  const program = `
    import { postgres, redis } from ${JSON.stringify(join(import.meta.dir, 'servers.ts'))};
    const [one, two] = [await postgres(), await redis()];
    one.pause();
    console.log(JSON.stringify({ ports: [one.port, two.port], dirs: [one.dir, two.dir] }));
    setInterval(() => {}, 1000);
  `;
  const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', stderr: 'inherit' });
  const reader = child.stdout.getReader();
  const said: unknown = JSON.parse(new TextDecoder().decode((await reader.read()).value));
  const { ports, dirs } = said as { ports: number[]; dirs: string[] };
  expect(dirs.map((dir) => existsSync(dir))).toEqual([true, true]);
  child.kill('SIGKILL');
  await child.exited;
  while (dirs.some((dir) => existsSync(dir))) await Bun.sleep(20);
  for (const port of ports) {
    await expect(say(`redis://127.0.0.1:${port}`, 'PING')).rejects.toThrow();
  }
});
