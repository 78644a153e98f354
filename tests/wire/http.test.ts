import { afterAll, afterEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Exchange } from '../../src/wire/http/exchange.ts';
import { HttpPool, type Origin, originOf } from '../../src/wire/http/pool.ts';

const pool = new HttpPool();
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});
afterAll(() => pool.close());

interface Peer {
  origin: Origin;
  /** Everything each connection sent, in the order in which they were opened. */
  heard: string[];
}

/** A server that answers each request (as far as it has come) with what `answer` says, in these pieces. */
function serve(
  answer: (heard: string, connection: number) => (string | Uint8Array)[] | 'close' | undefined,
): Peer {
  const heard: string[] = [];
  const server = Bun.listen<{ id: number; done: number }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = { id: heard.length, done: 0 };
        heard.push('');
      },
      async data(socket, bytes) {
        const { id } = socket.data;
        heard[id] += Buffer.from(bytes).toString('latin1');
        const pieces = answer(heard[id]!, id);
        if (pieces === 'close') return void socket.end();
        for (const piece of pieces ?? []) {
          if (piece === 'END') socket.end();
          else if (piece === 'RESET') socket.terminate();
          else socket.write(piece);
          socket.flush();
          await Bun.sleep(1);
        }
      },
    },
  });
  stops.push(() => server.stop(true));
  return { origin: originOf(`http://127.0.0.1:${server.port}`), heard };
}

const ask = (origin: Origin, body: string | Uint8Array = '{}') =>
  pool.ask(origin, `POST /x HTTP/1.1\r\nhost: ${origin.authority}\r\n`, body);

async function readAll(exchange: Exchange): Promise<string> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const part = await exchange.read();
    if (part === undefined) return Buffer.concat(parts).toString();
    parts.push(part);
  }
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello';

describe('an answer', () => {
  test('of announced length', async () => {
    const { origin, heard } = serve(() => [ok]);
    const exchange = await ask(origin, '{"a":"é"}').answered;
    expect(exchange.status).toBe(200);
    expect(exchange.header('content-type')).toBe('application/json');
    expect(exchange.header('x-none')).toBeNull();
    expect(await readAll(exchange)).toBe('hello');
    expect(heard[0]).toStartWith('POST /x HTTP/1.1\r\nhost: 127.0.0.1:');
    expect(heard[0]).toEndWith('content-length: 10\r\n\r\n{"a":"Ã©"}');
  });

  test.each(['\r\n', '\n'])(
    'in chunks, with extensions and trailers (line ends %j), cut anywhere',
    async (lineEnd) => {
      const chunks = ['5;x=y', 'hello', 'A ', '0123456789', '0', 'trailer: 1', '', ''].join(lineEnd);
      const whole = `HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n${chunks}`;
      let cut = 0;
      const { origin } = serve(() => [whole.slice(0, cut), whole.slice(cut)].filter(Boolean));
      for (cut = 0; cut < whole.length; cut += 3) {
        expect(await readAll(await ask(origin).answered)).toBe('hello0123456789');
      }
    },
  );

  test('byte by byte', async () => {
    const text = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';
    const { origin } = serve(() => text.split(''));
    expect(await readAll(await ask(origin).answered)).toBe('abcde');
  });

  test('that ends with its connection', async () => {
    const { origin } = serve(() => ['HTTP/1.0 200 OK\r\n\r\nhel', 'lo', 'END']);
    expect(await readAll(await ask(origin).answered)).toBe('hello');
  });

  test('without a body', async () => {
    const { origin } = serve(() => ['HTTP/1.1 204 No Content\r\n\r\n']);
    const exchange = await ask(origin).answered;
    expect(exchange.status).toBe(204);
    expect(await readAll(exchange)).toBe('');
  });

  test('after an interim one', async () => {
    const { origin } = serve(() => [
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n',
      ok,
    ]);
    expect(await readAll(await ask(origin).answered)).toBe('hello');
  });

  test('has its headers as a set, those that are none left out', async () => {
    const { origin } = serve(() => [
      'HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nb d: 3\r\nno colon\r\nContent-Length: 0\r\n\r\n',
    ]);
    const exchange = await ask(origin).answered;
    expect([...exchange.headers()]).toEqual([
      ['a', '1, 2'],
      ['content-length', '0'],
    ]);
  });
});

describe('what is no answer', () => {
  test.each([
    ['not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['no status', 'HTTP/1.1 abc\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello'],
    ['an unknown framing', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n'],
    ['headers without end', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`],
  ])('%s', async (_what, text) => {
    const { origin } = serve(() => [text]);
    await expect(ask(origin).answered).rejects.toMatchObject({ kind: 'bad_response' });
  });

  test.each([
    ['a chunk without size', 'zz\r\n'],
    ['a chunk longer than it says', '2\r\nabc\r\n'],
    ['a size without end', 'a'.repeat(10_000)],
  ])('%s', async (_what, text) => {
    const { origin } = serve(() => [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${text}`]);
    const exchange = ask(origin);
    await expect(exchange.answered.then(readAll)).rejects.toMatchObject({ kind: 'bad_response' });
  });

  test.each([
    ['before the head', ['HTTP/1.1 200']],
    ['in a body of announced length', ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello']],
    ['between chunks', ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n']],
  ])('an end %s', async (_what, pieces) => {
    for (const end of ['END', 'RESET']) {
      const { origin } = serve(() => [...pieces, end]);
      await expect(ask(origin).answered.then(readAll)).rejects.toMatchObject({ kind: 'closed' });
    }
  });
});

describe('a connection', () => {
  test('is used again, one exchange after the other', async () => {
    const { origin, heard } = serve(() => [ok]);
    for (let i = 0; i < 5; i++) expect(await readAll(await ask(origin).answered)).toBe('hello');
    expect(heard).toHaveLength(1);
  });

  test.each([
    ['the server says so', 'HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 1\r\n\r\nx'],
    ['it is HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx'],
    ['there is more than the answer', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n'],
  ])('is not used again when %s', async (_what, text) => {
    const { origin, heard } = serve(() => [text]);
    for (let i = 0; i < 2; i++) expect(await readAll(await ask(origin).answered)).toBe('x');
    expect(heard).toHaveLength(2);
  });

  test('that the server closed while it waited says so, and the next one is new', async () => {
    const { origin, heard } = serve((text, id) =>
      id === 0 && text.split('POST').length > 2 ? 'close' : [ok],
    );
    expect(await readAll(await ask(origin).answered)).toBe('hello');
    await expect(ask(origin).answered).rejects.toMatchObject({ kind: 'stale' });
    expect(await readAll(await ask(origin).answered)).toBe('hello');
    expect(heard).toHaveLength(2);
  });

  test('on which a byte of the answer had come is no such one: the request was seen', async () => {
    const { origin } = serve((text) => (text.split('POST').length > 2 ? ['H', 'END'] : [ok]));
    expect(await readAll(await ask(origin).answered)).toBe('hello');
    await expect(ask(origin).answered).rejects.toMatchObject({ kind: 'closed' });
  });

  test('that says something unasked is not trusted any more', async () => {
    const { origin, heard } = serve(() => [ok, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil']);
    expect(await readAll(await ask(origin).answered)).toBe('hello');
    await Bun.sleep(10);
    expect(await readAll(await ask(origin).answered)).toBe('hello');
    expect(heard).toHaveLength(2);
  });

  test('carries many exchanges side by side on as many sockets', async () => {
    const { origin } = serve(() => [ok]);
    const texts = await Promise.all(
      Array.from({ length: 50 }, async () => readAll(await ask(origin).answered)),
    );
    expect(new Set(texts)).toEqual(new Set(['hello']));
  });
});

describe('large bodies', () => {
  test('are sent whole, though the socket takes them in parts', async () => {
    const size = 8 * 1024 * 1024;
    const { origin, heard } = serve((text) => (text.length > size ? [ok] : undefined));
    expect(await readAll(await ask(origin, new Uint8Array(size).fill(0x61)).answered)).toBe('hello');
    expect(heard[0]!.length).toBeGreaterThan(size);
    expect(heard[0]!.endsWith('aaaa')).toBe(true);
  });

  test('are not taken faster than they are read', async () => {
    let sent = 0;
    const server = Bun.serve({
      port: 0,
      fetch: () =>
        new Response(
          (async function* () {
            for (; sent < 64 * 1024 * 1024; sent += 65_536) yield new Uint8Array(65_536);
          })() as unknown as ReadableStream,
        ),
    });
    stops.push(() => void server.stop(true));
    const exchange = await ask(originOf(`http://127.0.0.1:${server.port}`)).answered;
    let read = (await exchange.read())!.length;
    await Bun.sleep(200);
    expect(sent).toBeLessThan(32 * 1024 * 1024);
    for (let part = await exchange.read(); part !== undefined; part = await exchange.read())
      read += part.length;
    expect(sent).toBe(64 * 1024 * 1024);
    expect(read).toBe(64 * 1024 * 1024);
  });
});

describe('failures', () => {
  test('nobody listens', async () => {
    const { origin } = serve(() => [ok]);
    for (const stop of stops.splice(0)) stop();
    await expect(ask(originOf('http://127.0.0.1:1')).answered).rejects.toMatchObject({ kind: 'refused' });
    expect(origin.tls).toBe(false);
  });

  test('nobody has that name', async () => {
    await expect(ask(originOf('http://no-such-host.invalid')).answered).rejects.toMatchObject({
      kind: 'not_found',
    });
  });

  test('an abort closes the connection, before and after the head', async () => {
    const { HttpError } = await import('../../src/wire/http/head.ts');
    let closed = 0;
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data: (socket, bytes) => {
          if (Buffer.from(bytes).includes('half'))
            socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx');
        },
        close: () => void closed++,
      },
    });
    stops.push(() => server.stop(true));
    const origin = originOf(`http://127.0.0.1:${server.port}`);
    const early = ask(origin);
    early.fail(new HttpError('aborted', 'enough'));
    await expect(early.answered).rejects.toMatchObject({ kind: 'aborted' });
    const silent = ask(origin);
    await Bun.sleep(20);
    silent.fail(new HttpError('aborted', 'enough'));
    await expect(silent.answered).rejects.toMatchObject({ kind: 'aborted' });
    const half = await ask(origin, 'half').answered;
    await half.read();
    const next = half.read() as Promise<unknown>;
    half.fail(new HttpError('aborted', 'enough'));
    await expect(next).rejects.toMatchObject({ kind: 'aborted' });
    await Bun.sleep(20);
    expect(closed).toBeGreaterThanOrEqual(2);
  });
});

describe('TLS', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const made = Bun.spawnSync(
    [
      'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost',
      '-addext', 'subjectAltName=DNS:localhost', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem'),
    ], // biome-ignore format: one command
    { stderr: 'ignore' },
  );

  test('a certificate nobody vouches for is refused, and nothing is sent', async () => {
    expect(made.exitCode).toBe(0);
    let asked = 0;
    const server = Bun.serve({
      port: 0,
      tls: { key: Bun.file(join(dir, 'key.pem')), cert: Bun.file(join(dir, 'cert.pem')) },
      fetch: () => {
        asked++;
        return new Response('hello');
      },
    });
    stops.push(() => void server.stop(true));
    await expect(ask(originOf(`https://localhost:${server.port}`)).answered).rejects.toMatchObject({
      kind: 'tls',
    });
    expect(asked).toBe(0);
  });

  test('one that is vouched for is spoken with', async () => {
    const script = `
      import { HttpPool, originOf } from ${JSON.stringify(join(import.meta.dir, '../../src/wire/http/pool.ts'))};
      const server = Bun.serve({ port: 0, tls: { key: Bun.file('key.pem'), cert: Bun.file('cert.pem') }, fetch: async (r) => new Response(await r.text() + '!') });
      const pool = new HttpPool();
      const named = originOf('https://localhost:' + server.port);
      const byAddress = originOf('https://127.0.0.1:' + server.port);
      const pinned = { ...named, host: '127.0.0.1', serverName: 'localhost' };
      for (const origin of [named, byAddress, pinned, { ...named, serverName: 'elsewhere' }]) {
        for (let i = 0; i < 2; i++) {
          try {
            const exchange = await pool.ask(origin, 'POST / HTTP/1.1\\r\\nhost: ' + origin.authority + '\\r\\n', 'hello').answered;
            console.log(exchange.status, Buffer.from(await exchange.read()).toString());
          } catch (error) { console.log(error.kind); }
        }
      }
      process.exit(0);`;
    const child = Bun.spawn([process.execPath, '-e', script], {
      cwd: dir,
      env: { ...process.env, NODE_EXTRA_CA_CERTS: join(dir, 'cert.pem') },
    });
    const said = await new Response(child.stdout).text();
    // The certificate names localhost only: by its address, or as another, the same server is not trusted.
    const [fine, refused] = [Array(2).fill('200 hello!'), Array(2).fill('tls')];
    expect(said.trim().split('\n')).toEqual([fine, refused, fine, refused].flat());
  });
});
