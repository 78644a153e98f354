/** The program where things get tight: a full disk, thousands of streams at once. */
import { afterAll, afterEach, beforeEach, expect, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { ask, killRunning, makePlace, type Place, run, start, waitFor } from './program.ts';

let place: Place;
let provider: FakeProvider;

beforeEach(async () => {
  place = makePlace();
  provider = await startFakeProvider();
});
afterEach(async () => {
  killRunning();
  await provider.stop();
  place.remove();
});
afterAll(killRunning);

const config = (): string => `
listen: 127.0.0.1:0
providers: { mock: {}, oa: { speaks: openai-chat, url: "${provider.base}", key: up } }
keys: [{ name: test, key: sk-test }]
`;

/** Runs the program where no file can grow beyond `blocks` of 512 bytes: a disk that is full, as far as it can tell. */
function startOnSmallDisk(blocks: number) {
  const main = join(import.meta.dir, '../../src/main.ts');
  const script = `trap '' XFSZ; ulimit -f ${blocks}; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', script, process.execPath, main], {
    cwd: place.dir,
    env: { PATH: process.env.PATH },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => void child.on('close', resolve));
  return { child, said: () => said, ended };
}

test('on a full disk it does not start, and says why in one line', async () => {
  writeFileSync(join(place.dir, 'sluice.yaml'), config());
  const program = startOnSmallDisk(40);
  expect(await program.ended).toBe(1);
  expect(program.said().trimEnd().split('\n')).toHaveLength(1);
  expect(program.said()).toMatch(/full|too large|space|I\/O/i);
});

test('when the disk fills up it refuses calls, says why, and forgets nothing of what it let through', async () => {
  writeFileSync(join(place.dir, 'sluice.yaml'), config());
  const program = startOnSmallDisk(1200);
  const url = await waitFor(() => /listening on (http:\S+)/.exec(program.said())?.[1]);
  let answered = 0;
  let refused = await ask(url, 'sk-test', 'oa/echo');
  for (; refused.status === 200 && answered < 5000; answered++) {
    await refused.text();
    refused = await ask(url, 'sk-test', 'oa/echo');
  }
  expect(refused.status).toBeGreaterThanOrEqual(500);
  expect(((await refused.json()) as { error: { message: string } }).error.message).not.toInclude(place.dir);
  await waitFor(() => (/cannot write the journal.*EFBIG/i.test(program.said()) ? true : undefined));
  expect(answered).toBeGreaterThan(50);
  // It lives, and tells the balancer before it not to send more.
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  program.child.kill('SIGKILL');
  await program.ended;

  // With space again, all is there.
  const usage = await run(['usage', '--format', 'json'], { cwd: place.dir });
  const [row] = JSON.parse(usage.stdout) as { attempts: number }[];
  expect(row!.attempts).toBeGreaterThanOrEqual(answered);
  expect(row!.attempts).toBeLessThanOrEqual(answered + 2);
}, 30_000);

test('two thousand streams are open at once, and one more call is answered', async () => {
  const many = 2000;
  writeFileSync(join(place.dir, 'sluice.yaml'), config());
  const program = start([], { cwd: place.dir, by: 'node' });
  const url = new URL(await program.listening());
  const body = JSON.stringify({
    model: 'oa/stall:3',
    stream: true,
    messages: [{ role: 'user', content: 'Hello' }],
  });
  const request =
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer sk-test\r\n` +
    `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  let begun = 0;
  // Bare sockets: a client of ours would have a limit of its own.
  const connect = () =>
    Bun.connect({
      hostname: url.hostname,
      port: Number(url.port),
      data: { begun: false },
      socket: {
        open: (socket) => void socket.write(request),
        data(socket, bytes) {
          if (socket.data.begun || !bytes.includes('data:')) return;
          socket.data.begun = true;
          begun++;
        },
      },
    });
  const sockets = await Promise.all(Array.from({ length: many }, connect));
  await waitFor(() => (begun === many ? true : undefined), 25_000);
  expect(provider.mock.counters.open).toBe(many);
  const answer = await ask(url.origin, 'sk-test', 'oa/echo');
  expect(answer.status).toBe(200);
  for (const socket of sockets) socket.terminate();
  await waitFor(() => (provider.mock.counters.open === 0 ? true : undefined));
  expect(await program.stop()).toBe(0);
  const usage = await run(['usage', '--format', 'json'], { cwd: place.dir });
  const rows = JSON.parse(usage.stdout) as { attempts: number }[];
  expect(rows.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(many + 1);
}, 60_000);
