/** The server of HTTP/1.1, as its clients see it: https://www.rfc-editor.org/rfc/rfc9112 */
import { afterEach, describe, expect, test } from 'bun:test';
import { HttpPool, originOf } from '../../src/wire/http/pool.ts';
import type { Answer, ClientRequest } from '../../src/wire/http/server/messages.ts';
import { webRequest } from '../../src/wire/http/server/web-request.ts';
import { echo, listen, RawClient, type Served } from './http-server.ts';

const open: Served[] = [];
afterEach(async () => {
  for (const served of open.splice(0)) await served.stop();
});

async function serve(answer: (request: ClientRequest) => Answer | Promise<Answer> = echo) {
  const served = listen(answer);
  open.push(served);
  return { served, client: await RawClient.open(served) };
}

const host = 'host: x\r\n';
const hello = (path = '/') => `GET ${path} HTTP/1.1\r\n${host}\r\n`;
const pathOf = ({ body }: { body: string }) => (JSON.parse(body) as { url: string }).url;
const sized = (text: string) => `POST /p HTTP/1.1\r\n${host}content-length: ${text.length}\r\n\r\n${text}`;
const chunked = (framed: string) => `POST /p HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n${framed}`;

describe('a request', () => {
  test('is read wherever its bytes are cut', async () => {
    const { client } = await serve();
    const forms = [
      sized('The "body"'),
      chunked('4;name="a;b"\r\nThe \r\n006\r\n"body"\r\n0;last\r\nx-trailer: 1\r\n\r\n'),
    ];
    for (const form of forms) {
      for (let cut = 1; cut < form.length; cut++) {
        client.send(form.slice(0, cut));
        await new Promise((resolve) => setImmediate(resolve));
        client.send(form.slice(cut));
        const { status, body } = await client.answer();
        expect([cut, status, JSON.parse(body).body]).toEqual([cut, 200, 'The "body"']);
      }
      for (const byte of form) {
        client.send(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(JSON.parse((await client.answer()).body)).toMatchObject({ method: 'POST', url: '/p' });
    }
  });

  test('tells its headers, those of one name together, in whatever case they are asked for', async () => {
    let seen: unknown[] = [];
    const { client } = await serve(({ headers, address }) => {
      seen = [headers.get('X-Two'), headers.get('x-none'), headers.has('X-TWO'), headers.has('two'), address];
      return { status: 200, headers: {}, body: JSON.stringify([...headers]) };
    });
    client.send(`GET / HTTP/1.1\r\n${host}X-Two:a\r\nx-other: \t b c \t\r\nx-two: d\xe9\r\nempty:\r\n\r\n`);
    expect(JSON.parse(Buffer.from((await client.answer()).body, 'latin1').toString())).toEqual([
      ['host', 'x'],
      ['x-two', 'a'],
      ['x-other', 'b c'],
      ['x-two', 'd\xe9'],
      ['empty', ''],
    ]);
    expect(seen).toEqual(['a, d\xe9', null, true, false, '127.0.0.1']);
  });

  test.each([
    ['/a?b=c%20d', 'GET', '/a?b=c%20d'],
    ['http://x:80/a?b', 'GET', '/a?b'],
    ['HTTPS://x', 'GET', '/'],
    ['http://x?q', 'GET', '/?q'],
    ['*', 'OPTIONS', '*'],
  ])('may name its path as %s', async (target, method, url) => {
    const { client } = await serve();
    client.send(`${method} ${target} HTTP/1.1\r\n${host}\r\n`);
    expect(JSON.parse((await client.answer()).body)).toMatchObject({ method, url });
  });

  test('may have empty lines before it, and no body at all', async () => {
    const { client } = await serve();
    client.send(`\r\n\r\n${sized('')}\r\n${hello('/next')}`);
    const answers = await client.answers(2);
    expect(answers.map(pathOf)).toEqual(['/p', '/next']);
  });

  test('may wait to be told to send its body', async () => {
    const { client } = await serve();
    const head = `POST / HTTP/1.1\r\n${host}expect: 100-Continue\r\ncontent-length: 5\r\n\r\n`;
    client.send(head);
    await client.until(() => client.text !== '');
    expect(client.text).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.text = '';
    client.send('hello');
    expect(JSON.parse((await client.answer()).body).body).toBe('hello');
    // Whoever did not wait is not told.
    client.send(`${head}again`);
    expect(JSON.parse((await client.answer()).body).body).toBe('again');
  });

  test('that waits to be told is not told, where its body is not wanted', async () => {
    const { client } = await serve(() => ({ status: 413, headers: {}, body: 'no' }));
    client.send(`POST / HTTP/1.1\r\n${host}expect: 100-continue\r\ncontent-length: 5\r\n\r\n`);
    expect(await client.answer()).toMatchObject({ status: 413, headers: { connection: 'close' } });
    await client.until(() => client.ended);
  });
});

describe("a request in the web's own form", () => {
  test.each([
    ['/a?b=c', 'x:81', 'http://x:81/a?b=c'],
    ['/a', 'no host', 'http://localhost/a'],
  ])('of %s at %s', async (path, name, url) => {
    const { client } = await serve(async (request) => {
      const web = webRequest(request);
      return Response.json([web.method, web.url, web.headers.get('x-a'), await web.text()]);
    });
    client.send(`POST ${path} HTTP/1.1\r\nhost: ${name}\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello`);
    expect(JSON.parse((await client.answer()).body)).toEqual(['POST', url, 'b', 'hello']);
  });
});

describe('requests on one connection', () => {
  test('that come at once are answered in their order, one at a time', async () => {
    let running = 0;
    const { client } = await serve(async (request) => {
      expect(++running).toBe(1);
      await Bun.sleep(request.url === '/0' ? 30 : 1);
      running--;
      return echo(request);
    });
    client.send(Array.from({ length: 20 }, (_, i) => (i % 2 ? sized(`${i}`) : hello(`/${i}`))).join(''));
    const urls = (await client.answers(20)).map(pathOf);
    expect(urls).toEqual(Array.from({ length: 20 }, (_, i) => (i % 2 ? '/p' : `/${i}`)));
  });

  test('that come faster than they are answered wait in the socket', async () => {
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    const { served, client } = await serve(async () => {
      asked++;
      await gate.promise;
      if (asked < 100) await Bun.sleep(1);
      return { status: 204, headers: {}, body: '' };
    });
    const many = hello(`/${'y'.repeat(1000)}`).repeat(20_000);
    client.send(many);
    await Bun.sleep(200);
    expect(asked).toBe(1);
    const waiting = client.socket.writableLength;
    expect(waiting).toBeGreaterThan(10_000_000);
    gate.resolve();
    await client.until(() => client.text.split('\r\n\r\n').length > 50);
    expect(client.socket.writableLength).toBeGreaterThan(waiting - 2_000_000);
    const end = 'HTTP/1.1 204';
    await client.until(() => client.text.split(end).length === 20_001);
    expect(served.failures).toEqual([]);
  });

  test('end when either side says so', async () => {
    const { client, served } = await serve();
    client.send(`GET / HTTP/1.1\r\n${host}connection: Keep-Alive, Close\r\n\r\n`);
    expect((await client.answer()).headers.connection).toBe('close');
    await client.until(() => client.ended);
    const old = await RawClient.open(served);
    old.send('GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n');
    expect((await old.answer()).headers.connection).toBe('keep-alive');
    old.send('GET / HTTP/1.0\r\n\r\n');
    expect((await old.answer()).status).toBe(200);
    await old.until(() => old.ended);
  });
});

describe('what could be understood in two ways is refused, and the connection with it', () => {
  const post = (lines: string, body = '') => `POST / HTTP/1.1\r\n${host}${lines}\r\n${body}`;
  test.each([
    ['a length and chunks', post('content-length: 5\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n')],
    ['two lengths', post('content-length: 5\r\ncontent-length: 6\r\n', 'hello')],
    ['two lengths in a line', post('content-length: 5, 5\r\n', 'hello')],
    ['a length with a sign', post('content-length: +5\r\n', 'hello')],
    ['a length in another system', post('content-length: 0x5\r\n', 'hello')],
    ['a length with an odd blank', post('content-length: 5\xa0\r\n', 'hello')],
    ['no length', post('content-length:\r\n', 'hello')],
    ['another coding', post('transfer-encoding: gzip, chunked\r\n', '0\r\n\r\n')],
    ['a coding that is almost known', post('transfer-encoding: xchunked\r\n', '0\r\n\r\n')],
    [
      'a coding said twice',
      post('transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n', '0\r\n\r\n'),
    ],
    ['chunks of an old client', 'POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bare line feed', `GET / HTTP/1.1\r\n${host}a: b\nc: d\r\n\r\n`],
    ['nothing but bare line feeds', 'GET / HTTP/1.1\nhost: x\n\n'],
    ['a bare carriage return', `GET / HTTP/1.1\r\n${host}a: b\rc: d\r\n\r\n`],
    ['a zero byte', `GET / HTTP/1.1\r\n${host}a: b\0c\r\n\r\n`],
    ['a folded line', `GET / HTTP/1.1\r\n${host}a: b\r\n c\r\n\r\n`],
    ['a space before the colon', post('content-length : 5\r\n', 'hello')],
    ['a line without a colon', `GET / HTTP/1.1\r\n${host}nothing\r\n\r\n`],
    ['a header without a name', `GET / HTTP/1.1\r\n${host}: x\r\n\r\n`],
    ['a name with odd letters', `GET / HTTP/1.1\r\n${host}a(b): x\r\n\r\n`],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two hosts', `GET / HTTP/1.1\r\n${host}${host}\r\n`],
    ['a space in the path', `GET /a b HTTP/1.1\r\n${host}\r\n`],
    ['a path that is none', `GET a HTTP/1.1\r\n${host}\r\n`],
    ['a method that is none', `G(T / HTTP/1.1\r\n${host}\r\n`],
    ['something else', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'],
  ])('%s', async (_what, text) => {
    let asked = 0;
    const { client } = await serve(() => {
      asked++;
      return { status: 200, headers: {}, body: '' };
    });
    client.send(text + hello('/smuggled'));
    const { status, headers } = await client.answer();
    expect({ status, connection: headers.connection }).toEqual({ status: 400, connection: 'close' });
    await client.until(() => client.ended);
    expect({ asked, more: client.text }).toEqual({ asked: 0, more: '' });
  });

  test.each([
    ['a size that is none', 'g\r\nx\r\n0\r\n\r\n'],
    ['a size with a sign', '+1\r\nx\r\n0\r\n\r\n'],
    ['no size', '\r\nx\r\n0\r\n\r\n'],
    ['a size beyond all bounds', 'fffffffffffff\r\nx'],
    ['more than its size', '1\r\nxy\r\n0\r\n\r\n'],
    ['bare line feeds', '1\nx\n0\n\n'],
    ['a bare line feed in an extension', '1;a\nb\r\nx\r\n0\r\n\r\n'],
    ['an extension without end', `1;${'a'.repeat(9000)}`],
    ['trailers without end', `0\r\n${'a: b\r\n'.repeat(20_000)}`],
  ])('a chunk with %s', async (_what, framed) => {
    const { client, served } = await serve();
    client.send(chunked(''));
    await Bun.sleep(5);
    client.send(`3\r\nabc\r\n${framed}${hello('/smuggled')}`);
    const { status, headers } = await client.answer();
    expect({ status, connection: headers.connection }).toEqual({ status: 400, connection: 'close' });
    await client.until(() => client.ended);
    expect({ more: client.text, failures: served.failures }).toEqual({ more: '', failures: [] });
  });

  test.each([
    ['a head without end', `GET / HTTP/1.1\r\n${host}a: ${'b'.repeat(70_000)}`, 431],
    ['too large a head', `GET / HTTP/1.1\r\n${host}a: ${'b'.repeat(70_000)}\r\n\r\n`, 431],
    ['another version', `GET / HTTP/2.0\r\n${host}\r\n`, 505],
  ])('%s', async (_what, text, expected) => {
    const { client } = await serve();
    client.send(text);
    expect((await client.answer()).status).toBe(expected);
    await client.until(() => client.ended);
  });
});

describe('an answer', () => {
  const bodies: [string, () => Answer, Record<string, string>, string][] = [
    ['text', () => ({ status: 201, headers: { a: 'b' }, body: 'Größe' }), { 'content-length': '7' }, 'Größe'],
    [
      'bytes',
      () => ({ status: 200, headers: {}, body: Buffer.from('xyz') }),
      { 'content-length': '3' },
      'xyz',
    ],
    [
      'a lot of text',
      () => ({ status: 200, headers: {}, body: 'ü'.repeat(400_000) }),
      { 'content-length': '800000' },
      'ü'.repeat(400_000),
    ],
    [
      'parts',
      () => ({ status: 200, headers: {}, body: parts('a', '', Buffer.from('bc'), 'ü'.repeat(200_000)) }),
      { 'transfer-encoding': 'chunked' },
      `abc${'ü'.repeat(200_000)}`,
    ],
    [
      'a flow',
      () => ({
        status: 200,
        headers: {},
        async body(out) {
          for (const part of ['a', 'b']) await out.write(part);
        },
      }),
      { 'transfer-encoding': 'chunked' },
      'ab',
    ],
    [
      'a web answer',
      () => new Response('hello', { status: 202, headers: { 'x-a': 'b', connection: 'odd' } }),
      { 'transfer-encoding': 'chunked', 'x-a': 'b' },
      'hello',
    ],
    ['a web answer without a body', () => new Response(null), { 'content-length': '0' }, ''],
  ];

  async function* parts(...all: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
    for (const part of all) {
      await Bun.sleep(1);
      yield part;
    }
  }

  test.each(bodies)('of %s', async (_what, make, expected, body) => {
    const { client } = await serve(make);
    client.send(hello() + hello());
    for (const answer of await client.answers(2)) {
      expect(answer.headers).toMatchObject(expected);
      expect(answer.headers.connection).toBeUndefined();
      expect(Math.abs(Date.parse(answer.headers.date!) - Date.now())).toBeLessThan(3000);
      expect(Buffer.from(answer.body, 'latin1').toString()).toBe(body);
    }
  });

  test.each(bodies)('of %s to HEAD has the same head and no body', async (what, make, expected) => {
    const { client, served } = await serve(make);
    client.send(`HEAD / HTTP/1.1\r\n${host}\r\n`);
    await client.until(() => client.text.includes('\r\n\r\n'));
    // Whoever made a web answer for it may have left its body out.
    const length = what.startsWith('a web') ? undefined : expected['content-length'];
    if (length !== undefined) expect(client.text).toInclude(`content-length: ${length}\r\n`);
    client.text = '';
    client.send(`HEAD / HTTP/1.1\r\n${host}connection: close\r\n\r\n`);
    await client.until(() => client.ended);
    expect(client.text).toStartWith('HTTP/1.1 20');
    expect(client.text).toEndWith('\r\n\r\n');
    expect(served.failures).toEqual([]);
  });

  test.each(bodies)(
    'of %s to an old client ends with the connection',
    async (_what, make, _expected, body) => {
      const { client } = await serve(make);
      client.send('GET / HTTP/1.0\r\n\r\n');
      await client.until(() => client.ended);
      expect(client.text).not.toInclude('chunked');
      const text = Buffer.from(client.text, 'latin1').toString();
      expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(body);
    },
  );

  test.each([204, 304])('with status %d has no body', async (status) => {
    const { client } = await serve(() => ({ status, headers: {}, body: '' }));
    client.send(hello());
    expect(await client.answer()).toMatchObject({ status, body: '' });
    expect(client.text).toBe('');
  });

  test('cannot be made to begin another header', async () => {
    const value = 'a\r\nset-cookie: x\0\u010a\u010dset-cookie: y\xe9';
    const { client } = await serve(() => ({ status: 200, headers: { odd: value }, body: '' }));
    client.send(hello());
    const { headers } = await client.answer();
    expect(headers['set-cookie']).toBeUndefined();
    expect(headers.odd).toBe('a??set-cookie: x???set-cookie: y\xe9');
  });

  test('that cannot be made is a failure of the server, and of that request alone', async () => {
    const { client, served } = await serve(({ url }) => {
      if (url === '/throws') throw new Error('no');
      if (url === '/rejects') return Promise.reject(new Error('no'));
      return { status: 200, headers: {}, body: '' };
    });
    client.send(hello('/throws') + hello('/rejects') + hello());
    expect((await client.answers(3)).map(({ status }) => status)).toEqual([500, 500, 200]);
    expect(served.failures).toHaveLength(2);
  });
});

describe('clients that people use', () => {
  test('fetch, curl and the client of this project', async () => {
    const { served } = await serve();
    const text = 'z'.repeat(300_000);
    const fetched = await fetch(`${served.url}/f?a=b`, { method: 'POST', body: text });
    expect(((await fetched.json()) as { body: string }).body).toBe(text);
    const curl = Bun.spawn(
      ['curl', '-sS', '--data-binary', '@-', '-H', 'transfer-encoding: chunked', `${served.url}/c`],
      { stdin: Buffer.from(text), stdout: 'pipe' },
    );
    expect(((await new Response(curl.stdout).json()) as { body: string }).body).toBe(text);
    const pool = new HttpPool();
    for (let i = 0; i < 3; i++) {
      const exchange = pool.ask(originOf(served.url), `POST /x HTTP/1.1\r\n${host}`, text);
      expect((await exchange.answered).status).toBe(200);
      while ((await exchange.read()) !== undefined);
    }
    pool.close();
    expect(served.failures).toEqual([]);
  });

  test("Node's own, with its agent and its fetch", async () => {
    const { served } = await serve();
    const script = `
      const http = require('node:http');
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const ask = (path, body) => new Promise((resolve, reject) => {
        const request = http.request('${served.url}' + path, { method: 'POST', agent }, (answer) => {
          let text = ''; answer.on('data', (part) => text += part); answer.on('end', () => resolve(JSON.parse(text).body.length));
        });
        request.on('error', reject); request.write(body); request.end(body);
      });
      (async () => {
        const out = [await ask('/a', 'x'.repeat(100000)), await ask('/b', 'y')];
        for (let i = 0; i < 3; i++) {
          const answer = await fetch('${served.url}/f', { method: 'POST', body: 'q'.repeat(1000) });
          out.push((await answer.json()).body.length);
        }
        console.log(JSON.stringify(out)); agent.destroy();
      })();`;
    const node = Bun.spawn(['node', '-e', script], { stdout: 'pipe', stderr: 'inherit' });
    expect(await new Response(node.stdout).json()).toEqual([200_000, 2, 1000, 1000, 1000]);
  });
});
