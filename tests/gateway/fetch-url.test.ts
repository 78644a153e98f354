/** What clients name by address is fetched from where it may be, within bounds, and from nowhere else. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:net';
import { FetchError, fetchUrl, isPublic } from '../../src/gateway/fetch-url.ts';

/** Answers what the test wants, at every loopback address. */
let answer: (request: Request) => Response | Promise<Response>;
let server: ReturnType<typeof Bun.serve>;
let asked: { url: string; headers: Headers }[];

beforeAll(() => {
  server = Bun.serve({
    hostname: '0.0.0.0',
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      asked.push({ url: request.url, headers: new Headers(request.headers.toJSON()) });
      return answer(request);
    },
  });
});
afterAll(() => server.stop(true));
beforeEach(() => {
  asked = [];
  answer = () => new Response('hello', { headers: { 'content-type': 'Text/Plain; charset=utf-8' } });
});

const at = (host: string, path = '/file'): string => `http://${host}:${server.port}${path}`;
const anywhere = () => true;
const take = (): void => {};
const get = (url: string, more: Partial<Parameters<typeof fetchUrl>[1]> = {}) =>
  fetchUrl(url, { allows: anywhere, signal: AbortSignal.timeout(5000), take, ...more });

async function failureOf(act: Promise<unknown>): Promise<string> {
  const error = await act.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FetchError);
  return (error as FetchError).message;
}

describe('an address', () => {
  test.each(['1.1.1.1', '93.184.216.34', '2606:4700::1111', '::ffff:1.1.1.1'])('%s is public', (address) => {
    expect(isPublic(address)).toBe(true);
  });

  test.each([
    '127.0.0.1', '127.8.8.8', '10.0.0.1', '172.16.5.5', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0',
    '192.0.0.1', '192.0.2.1', '198.18.0.1', '203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255', '::1', '::',
    'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd12::1', 'ff02::1', '::ffff:10.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '::7f00:1', '::a9fe:a9fe',
    '64:ff9b::a00:1', '64:ff9b:1::1', '2002:7f00:1::', '2001::1', '2001:db8::1', 'fec0::1', '100::1', 'localhost', '',
  ])('%s is not', (address) => {
    expect(isPublic(address)).toBe(false);
  }); // biome-ignore format: one list
});

describe('a fetch', () => {
  test('brings the bytes, and what its server says they are', async () => {
    const { bytes, contentType } = await get(at('127.0.0.1', '/a?b=%20c#d'));
    expect(Buffer.from(bytes).toString()).toBe('hello');
    expect(contentType).toBe('text/plain');
    expect(new URL(asked[0]!.url).search).toBe('?b=%20c');
    expect(asked[0]!.headers.get('host')).toBe(`127.0.0.1:${server.port}`);
    for (const name of ['authorization', 'cookie', 'content-type'])
      expect(asked[0]!.headers.has(name)).toBe(false);
  });

  test('asks a host by its name, at an address of it', async () => {
    await get(at('localhost'));
    expect(asked[0]!.headers.get('host')).toBe(`localhost:${server.port}`);
  });

  test('follows three redirects, and no fourth', async () => {
    answer = ({ url }) => {
      const left = Number(new URL(url).pathname.slice(1));
      return left === 0
        ? new Response('there')
        : new Response(null, { status: 302, headers: { location: `/${left - 1}` } });
    };
    expect(Buffer.from((await get(at('127.0.0.1', '/3'))).bytes).toString()).toBe('there');
    expect(await failureOf(get(at('127.0.0.1', '/4')))).toContain('more than 3 times');
  });

  test.each<[string, number, string]>([
    ['is not there', 404, 'status 404'],
    ['is not to be had', 403, 'status 403'],
    ['has not changed', 304, 'status 304'],
    ['is a part', 206, 'status 206'],
  ])('of what %s fails', async (_, status, words) => {
    answer = () => new Response(null, { status });
    expect(await failureOf(get(at('127.0.0.1')))).toContain(words);
  });

  test('of what was packed unasked fails', async () => {
    answer = () => new Response('x', { headers: { 'content-encoding': 'gzip' } });
    expect(await failureOf(get(at('127.0.0.1')))).toContain('packed');
  });

  test('stops as soon as too much has come', async () => {
    let sent = 0;
    answer = () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            sent++;
            controller.enqueue(new Uint8Array(64 * 1024));
            await Bun.sleep(1);
          },
        }),
      );
    let left = 1024 * 1024;
    const few = (bytes: number): void => {
      left -= bytes;
      if (left < 0) throw new FetchError('it is too large');
    };
    expect(await failureOf(get(at('127.0.0.1'), { take: few }))).toBe('it is too large');
    const then = sent;
    await Bun.sleep(100);
    expect(sent).toBeLessThan(then + 20);
  });

  test.each<[string, () => Response | Promise<Response>]>([
    ['begins', () => Bun.sleep(3000).then(() => new Response('late'))],
    [
      'ends',
      () =>
        new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(5)) })),
    ],
  ])('that never %s is given up', async (_, slow) => {
    answer = slow;
    const start = performance.now();
    expect(await failureOf(get(at('127.0.0.1'), { signal: AbortSignal.timeout(200) }))).toContain('too long');
    expect(performance.now() - start).toBeLessThan(1500);
  });

  test('that comes too late is not begun', async () => {
    expect(await failureOf(get(at('127.0.0.1'), { signal: AbortSignal.abort() }))).toContain('too long');
    expect(asked).toEqual([]);
  });

  test.each([
    'file:///etc/passwd',
    'ftp://example.com/a',
    'gopher://127.0.0.1/',
    'javascript:1',
    'nothing',
    '',
  ])('of %p is not tried', async (url) => {
    expect(await failureOf(get(url))).toMatch(/no address|begin with http/);
  });

  test('of an address with a password is not tried', async () => {
    expect(await failureOf(get(`http://me:secret@127.0.0.1:${server.port}/`))).toContain('password');
    expect(asked).toEqual([]);
  });

  test('of a host that is not there fails with words', async () => {
    expect(await failureOf(get('http://nobody.invalid/'))).toContain('cannot be resolved');
    expect(await failureOf(get('http://127.0.0.1:1/'))).toContain('refused');
  });

  describe('from a server that speaks no HTTP', () => {
    let odd: Server;
    let port: number;
    beforeAll(async () => {
      odd = createServer(
        (socket) => void socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n\r\n'),
      );
      await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
      port = (odd.address() as { port: number }).port;
    });
    afterAll(() => void odd.close());

    test('fails with words', async () => {
      expect(await failureOf(get(`http://127.0.0.1:${port}/`))).toMatch(/not HTTP|closed/);
    });
  });
});

describe('where a client must not reach', () => {
  const only = (...addresses: string[]) => ({ allows: (address: string) => addresses.includes(address) });

  test.each([
    'http://127.0.0.1/', 'http://127.1/', 'http://2130706433/', 'http://0x7f000001/', 'http://0177.0.0.1/',
    'http://[::1]/', 'http://[::ffff:127.0.0.1]/', 'http://[::127.0.0.1]/', 'http://0.0.0.0/', 'http://localhost/', 'http://169.254.169.254/latest/',
    'http://[fd00::1]/', 'http://10.0.0.1/', 'https://192.168.0.1/',
  ])('nothing is connected to: %s', async (url) => {
    expect(await failureOf(get(url, { allows: isPublic }))).toContain('not on the public internet');
  }); // biome-ignore format: one list

  test('nothing is connected to by a redirect either', async () => {
    answer = () => new Response(null, { status: 302, headers: { location: at('127.0.0.2') } });
    expect(await failureOf(get(at('127.0.0.1'), only('127.0.0.1')))).toContain('not on the public internet');
    expect(asked).toHaveLength(1);
    answer = () => new Response(null, { status: 302, headers: { location: 'file:///etc/passwd' } });
    expect(await failureOf(get(at('127.0.0.1')))).toContain('begin with http');
  });

  test('a name is no way around it: all that it resolves to is looked at', async () => {
    const seen: string[] = [];
    const allows = (address: string): boolean => {
      seen.push(address);
      return false;
    };
    expect(await failureOf(get(at('localhost'), { allows }))).toContain('not on the public internet');
    expect(seen.length).toBeGreaterThan(0);
    expect(asked).toEqual([]);
  });
});
