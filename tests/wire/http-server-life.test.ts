/** Connections of the server over time: uploads, slow clients, those that leave, those that say nothing, and its own end. */
import { afterEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import type { Patience } from '../../src/wire/http/server/line.ts';
import type { Answer, ClientRequest, Flow, Part } from '../../src/wire/http/server/messages.ts';
import type { Tunnel } from '../../src/wire/tunnel.ts';
import { echo, listen, RawClient, type Served } from './http-server.ts';

const open: Served[] = [];
afterEach(async () => {
  for (const served of open.splice(0)) await served.stop();
});

async function serve(
  answer: (request: ClientRequest) => Answer | Promise<Answer> = echo,
  patience?: Patience,
) {
  const served = listen(answer, patience);
  open.push(served);
  return { served, client: await RawClient.open(served) };
}

const ok = (body: Part | Flow | AsyncIterable<Part>): Answer => ({ status: 200, headers: {}, body });
const get = (path = '/') => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
const post = (size: number, lines = '') =>
  `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n${lines}\r\n`;
const MB = 1024 * 1024;

/** @throws Error after five seconds. */
async function until(there: () => boolean): Promise<void> {
  const late = performance.now() + 5000;
  while (!there()) {
    if (performance.now() > late) throw new Error('it did not happen');
    await Bun.sleep(5);
  }
}

/** Pours the rest in, no faster than it is taken. */
async function pour(client: RawClient, block: Uint8Array, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    if (!client.socket.write(block)) await new Promise((resolve) => client.socket.once('drain', resolve));
  }
}

describe('an upload', () => {
  test('passes whole, and waits where it is not read', async () => {
    const gate = Promise.withResolvers<void>();
    const { client } = await serve(async (request) => {
      await gate.promise;
      const hash = createHash('sha256');
      for await (const part of request.body ?? []) hash.update(part);
      return ok(hash.digest('hex'));
    });
    const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
    const times = 640;
    client.send(post(block.length * times));
    const before = process.memoryUsage().rss;
    let poured = false;
    const pouring = pour(client, block, times).then(() => {
      poured = true;
    });
    await Bun.sleep(300);
    expect(poured).toBe(false);
    expect(process.memoryUsage().rss - before).toBeLessThan(30 * MB);
    gate.resolve();
    await pouring;
    const hash = createHash('sha256');
    for (let i = 0; i < times; i++) hash.update(block);
    expect((await client.answer()).body).toBe(hash.digest('hex'));
    client.send(get());
    expect((await client.answer()).status).toBe(200);
  });

  test('that nobody wants is answered while it is on its way, and the answer arrives', async () => {
    const { client } = await serve(() => ({ status: 413, headers: {}, body: 'too large' }));
    client.send(post(20 * MB));
    const pouring = pour(client, new Uint8Array(64 * 1024), 320);
    expect(await client.answer()).toMatchObject({
      status: 413,
      headers: { connection: 'close' },
      body: 'too large',
    });
    await pouring;
    await until(() => client.ended);
    client.socket.end();
    await until(() => client.closed);
  });

  test('of little that nobody wants does not end the connection', async () => {
    const { client } = await serve((request) => ok(request.method));
    client.send(`${post(1000)}${'x'.repeat(500)}`);
    expect((await client.answer()).headers.connection).toBeUndefined();
    client.send(`${'x'.repeat(500)}${get()}`);
    expect((await client.answer()).body).toBe('GET');
  });

  test('that is cut fails whoever reads it', async () => {
    const failed: unknown[] = [];
    const { client, served } = await serve(async (request) => {
      const read = request.url === '/' ? request.bytes() : Array.fromAsync(request.body!);
      failed.push(
        await Promise.resolve(read).then(
          () => 'whole',
          (error) => error.kind,
        ),
      );
      expect(request.gone).toBe(true);
      return ok('');
    });
    client.send(`${post(1000)}part`);
    const other = await RawClient.open(served);
    other.send(`${post(1000).replace('POST /', 'POST /parts')}part`);
    await Bun.sleep(30);
    client.socket.resetAndDestroy();
    other.socket.destroy();
    await until(() => failed.length === 2);
    expect(failed).toEqual(['closed', 'closed']);
    expect(served.failures).toEqual([]);
  });
});

describe('a client that does not read', () => {
  const block = 'x'.repeat(64 * 1024);
  const blocks = 200 * 16;
  const sources: [string, (made: () => void) => Flow | AsyncIterable<Part>][] = [
    [
      'a flow',
      (made) => async (out) => {
        for (let i = 0; i < blocks && !out.gone; i++) {
          made();
          const room = out.write(block);
          if (room !== undefined) await room;
        }
      },
    ],
    [
      'a generator',
      async function* (made) {
        for (let i = 0; i < blocks; i++) {
          made();
          yield block;
        }
      },
    ],
    [
      'a web stream',
      (made) => {
        let left = blocks;
        return new ReadableStream({
          pull(controller) {
            made();
            controller.enqueue(Buffer.from(block));
            if (--left === 0) controller.close();
          },
        }) as unknown as AsyncIterable<Part>;
      },
    ],
  ];

  test.each(sources)(
    'holds up %s of 200 MB, and gets all of it in the end',
    async (_what, make) => {
      let made = 0;
      const { client } = await serve(() => ok(make(() => made++)));
      client.socket.pause();
      const before = process.memoryUsage().rss;
      client.send(`GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      await Bun.sleep(300);
      expect(made).toBeLessThan(200);
      expect(process.memoryUsage().rss - before).toBeLessThan(40 * MB);
      let size = 0;
      client.socket.removeAllListeners('data');
      client.socket.on('data', (bytes) => {
        size += bytes.length;
      });
      client.socket.resume();
      await client.until(() => client.ended);
      expect(made).toBe(blocks);
      expect(size).toBeGreaterThan(200 * MB);
    },
    30_000,
  );

  test('and leaves releases whoever writes for it', async () => {
    let ended = '';
    const { client, served } = await serve(() =>
      ok(
        (async function* () {
          try {
            for (;;) yield block;
          } finally {
            ended = 'released';
          }
        })(),
      ),
    );
    client.socket.pause();
    client.send(get());
    await Bun.sleep(50);
    client.socket.destroy();
    await until(() => ended === 'released');
    expect(served.failures).toEqual([]);
  });

  test('is cut in the end', async () => {
    const patience = { requestMs: 100, idleMs: 200, lastMs: 100 };
    let done = false;
    const { client } = await serve(() => {
      return ok(async (out) => {
        while (!out.gone) await out.write(block);
        done = true;
      });
    }, patience);
    client.socket.pause();
    client.send(get());
    await until(() => done);
  });
});

describe('a client that leaves', () => {
  test.each(['destroy', 'resetAndDestroy', 'end'] as const)('by %s is noticed at once', async (how) => {
    let seen: ClientRequest | undefined;
    const gate = Promise.withResolvers<Answer>();
    const { client, served } = await serve((request) => {
      seen = request;
      return gate.promise;
    });
    client.send(get());
    await until(() => seen !== undefined);
    const { signal } = seen!;
    expect([seen!.gone, signal.aborted]).toEqual([false, false]);
    client.socket[how]();
    await until(() => seen!.gone);
    expect([signal.aborted, seen!.signal.aborted]).toEqual([true, true]);
    let returned = false;
    gate.resolve(
      ok({
        [Symbol.asyncIterator]: () => ({
          next: async () => ({ done: false, value: 'x' }),
          return: async () => {
            returned = true;
            return { done: true, value: undefined };
          },
        }),
      }),
    );
    await until(() => returned);
    expect(served.failures).toEqual([]);
  });

  test('has a web stream cancelled, also one that has nothing to say', async () => {
    let cancelled = false;
    const { client } = await serve(
      () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue('first'),
            cancel: () => {
              cancelled = true;
            },
          }),
        ),
    );
    client.send(get());
    await client.until(() => client.text.includes('first'));
    client.socket.destroy();
    await until(() => cancelled);
  });
});

describe('an answer that breaks off', () => {
  test.each(['1.1', '1.0'])('is seen to be cut by a client of HTTP/%s', async (version) => {
    const { client, served } = await serve(() =>
      ok(
        (async function* () {
          yield 'first';
          await Bun.sleep(30);
          throw new Error('broken');
        })(),
      ),
    );
    let reset = false;
    client.socket.on('error', () => {
      reset = true;
    });
    client.send(`GET / HTTP/${version}\r\nhost: x\r\n\r\n`);
    await client.until(() => client.text.includes('first'));
    await until(() => client.closed || client.ended);
    expect(client.text).not.toInclude('0\r\n\r\n');
    if (version === '1.0') expect(reset).toBe(true);
    expect(served.failures.map(String)).toEqual(['Error: broken']);
  });
});

describe('a client that says nothing', () => {
  const patience = { requestMs: 100, idleMs: 400, lastMs: 100 };
  const timeToClose = async (client: RawClient) => {
    const start = performance.now();
    await until(() => client.closed || client.ended);
    return performance.now() - start;
  };

  test('in the middle of a head is cut, however it drips', async () => {
    const { client } = await serve(echo, patience);
    client.send('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => client.send('a: b\r\n'), 20);
    expect(await timeToClose(client)).toBeWithin(50, 350);
    clearInterval(drip);
  });

  test('in the middle of a body is cut, but not while it is the server that waits', async () => {
    const { client, served } = await serve(async (request) => {
      if (request.url === '/') return echo(request);
      await Bun.sleep(300);
      for await (const _ of request.body!);
      return ok('taken');
    }, patience);
    client.send(`${post(10)}part`);
    expect(await timeToClose(client)).toBeWithin(50, 350);
    const patient = await RawClient.open(served);
    const size = 4 * MB;
    patient.send(post(size).replace('POST /', 'POST /slow'));
    patient.send(new Uint8Array(size));
    expect((await patient.answer()).body).toBe('taken');
  });

  test('between two requests has more time', async () => {
    const { client } = await serve(echo, patience);
    client.send(get());
    await client.answer();
    await Bun.sleep(200);
    client.send(get());
    expect((await client.answer()).status).toBe(200);
    expect(await timeToClose(client)).toBeWithin(300, 700);
  });

  test('is waited for as long as its answer takes', async () => {
    const { client } = await serve(async () => {
      await Bun.sleep(600);
      return ok('late');
    }, patience);
    client.send(get());
    expect((await client.answer()).body).toBe('late');
  });
});

describe('told to stop', () => {
  test('it ends what is idle, lets answers come to their end, and accepts no more', async () => {
    const gate = Promise.withResolvers<void>();
    const { client, served } = await serve(({ url }) =>
      ok(async (out) => {
        out.write('first ');
        if (url === '/slow') await gate.promise;
        out.write('last');
      }),
    );
    client.send(get('/slow'));
    await client.until(() => client.text.includes('first'));
    const idle = await RawClient.open(served);
    idle.send(get());
    await idle.answer();
    let stopped = false;
    const stopping = served.server.stop(false).then(() => {
      stopped = true;
    });
    await until(() => idle.ended || idle.closed);
    await expect(fetch(served.url)).rejects.toThrow();
    expect(stopped).toBe(false);
    gate.resolve();
    expect((await client.answer()).body).toBe('first last');
    await stopping;
    await until(() => client.ended);
  });

  test('retired, it answers what comes on connections it has, each once, and accepts no more', async () => {
    const { client, served } = await serve(echo);
    client.send(get());
    const before = await client.answer();
    expect(before.headers.connection).toBeUndefined();
    const retired = served.server.retire(60_000);
    await expect(fetch(served.url)).rejects.toThrow();
    client.send(get());
    const last = await client.answer();
    expect([last.status, last.headers.connection]).toEqual([200, 'close']);
    await retired;
    await until(() => client.ended);
    await served.server.stop(false);
  });

  test('with force it cuts everything', async () => {
    const { client, served } = await serve(() => new Promise(() => {}));
    client.send(get());
    await Bun.sleep(20);
    await served.server.stop(true);
    await until(() => client.closed || client.ended);
  });

  test('while nobody is there it is done at once', async () => {
    const served = listen(echo);
    await served.server.stop(false);
  });

  test('it says which address cannot be had', () => {
    const served = listen(echo);
    open.push(served);
    const again = () => listen(echo, undefined, served.server.port);
    expect(again).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    expect(() => listen(echo, undefined, 0, '192.0.2.1')).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    );
    expect(() => listen(echo, undefined, 0, 'no.such.host.invalid')).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    );
  });
});

describe('a connection that goes on in another protocol', () => {
  test('carries bytes both ways, also those that came with the request', async () => {
    let tunnel: Tunnel | undefined;
    const { client } = await serve(() => ({
      status: 101,
      headers: { connection: 'Upgrade', upgrade: 'odd' },
      async switched(opened) {
        tunnel = opened;
        for (let bytes = await opened.read(); bytes !== undefined; bytes = await opened.read()) {
          const text = Buffer.from(bytes).toString();
          opened.write(Buffer.from(text.toUpperCase()));
          if (text.includes('end')) break;
        }
        opened.end();
      },
    }));
    client.send(`${get()}early `);
    await client.until(() => client.text.includes('EARLY '));
    expect(client.text).toStartWith('HTTP/1.1 101 Switching Protocols\r\n');
    client.text = '';
    client.send('GET / HTTP/1.1\r\n\r\nend');
    await client.until(() => client.ended);
    expect(client.text).toBe('GET / HTTP/1.1\r\n\r\nEND');
    expect(tunnel?.unsentBytes).toBe(0);
  });

  test('tells when the client has gone, and when it has caught up', async () => {
    const told: string[] = [];
    const { client } = await serve(() => ({
      status: 101,
      headers: {},
      switched(tunnel) {
        tunnel.onDrained = () => told.push('drained');
        tunnel.write(new Uint8Array(16 * MB));
        told.push(tunnel.unsentBytes > 0 ? 'waits' : 'sent');
        Promise.resolve(tunnel.read()).catch(({ kind }) => told.push(kind));
      },
    }));
    client.socket.pause();
    client.send(get());
    await Bun.sleep(50);
    expect(told).toEqual(['waits']);
    client.socket.resume();
    await until(() => told.length === 2);
    client.socket.destroy();
    await until(() => told.length === 3);
    expect(told).toEqual(['waits', 'drained', 'closed']);
  });
});
