/** Request bodies that are sent while they come. */
import { afterAll, afterEach, describe, expect, test } from 'bun:test';
import { HttpError } from '../../src/wire/http/head.ts';
import { HttpPool, type Origin, originOf } from '../../src/wire/http/pool.ts';

const pool = new HttpPool();
const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});
afterAll(() => pool.close());

interface Heard {
  length: string | null;
  encoding: string | null;
  text: string;
}

/** Tells what it was sent. */
function listen(answer?: (request: Request) => Promise<Response>): { origin: Origin; heard: Heard[] } {
  const heard: Heard[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request) {
      if (answer !== undefined) return answer(request);
      const { headers } = request;
      const text = await request.text();
      heard.push({ length: headers.get('content-length'), encoding: headers.get('transfer-encoding'), text });
      return new Response(`got ${text.length}`);
    },
  });
  stops.push(() => server.stop(true));
  return { origin: originOf(`http://127.0.0.1:${server.port}`), heard };
}

const post = (origin: Origin, chunks: AsyncIterable<Uint8Array>, size?: number) =>
  pool.ask(origin, `POST /x HTTP/1.1\r\nhost: ${origin.authority}\r\n`, { chunks, size });

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    await Bun.sleep(1);
    yield Buffer.from(text);
  }
}

describe('a body that is streamed', () => {
  test('is announced where its size is known', async () => {
    const { origin, heard } = listen();
    const reply = await post(origin, pieces('one ', '', 'two'), 7).answered;
    expect(reply.status).toBe(200);
    expect(heard).toEqual([{ length: '7', encoding: null, text: 'one two' }]);
  });

  test('goes in chunks where it is not', async () => {
    const { origin, heard } = listen();
    await post(origin, pieces('one ', '', 'two')).answered;
    expect(heard).toEqual([{ length: null, encoding: 'chunked', text: 'one two' }]);
  });

  test('is taken no faster than it leaves', async () => {
    let taken = 0;
    const chunk = new Uint8Array(256 * 1024);
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        taken += chunk.length;
        yield chunk;
      }
    }
    // A server that never reads: what the operating system holds is all that is taken.
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: (socket) => void socket.pause(), data() {} },
    });
    stops.push(() => server.stop(true));
    const exchange = post(originOf(`http://127.0.0.1:${server.port}`), endless());
    await Bun.sleep(300);
    expect(taken).toBeLessThan(64 * 1024 * 1024);
    exchange.cut();
    expect(await exchange.answered.catch((error) => error)).toMatchObject({ kind: 'aborted' });
  });

  test('ends with an early answer, and its connection is not used again', async () => {
    const ports = new Set<number>();
    const server = Bun.listen<undefined>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => void ports.add(socket.remotePort),
        data: (socket) => void socket.write('HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n'),
      },
    });
    stops.push(() => server.stop(true));
    const origin = originOf(`http://127.0.0.1:${server.port}`);
    let stopped = false;
    async function* slow(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          await Bun.sleep(2);
          yield Buffer.from('more');
        }
      } finally {
        stopped = true;
      }
    }
    for (let i = 0; i < 2; i++) {
      stopped = false;
      expect((await post(origin, slow()).answered).status).toBe(413);
      for (let waited = 0; !stopped && waited < 1000; waited += 5) await Bun.sleep(5);
      expect(stopped).toBe(true);
    }
    expect(ports.size).toBe(2);
  });

  test.each([
    ['that fails on its way', () => failing(), undefined],
    ['that is shorter than announced', () => pieces('one'), 7],
  ])('%s is no request', async (_, chunks, size) => {
    const ended = Promise.withResolvers<'whole' | 'cut'>();
    const { origin } = listen(async (request) => {
      await request.text().then(
        () => ended.resolve('whole'),
        () => ended.resolve('cut'),
      );
      return new Response();
    });
    const error = await post(origin, chunks(), size).answered.catch((thrown) => thrown);
    expect(error).toBeInstanceOf(HttpError);
    expect(error).toMatchObject({ kind: 'aborted' });
    expect(await ended.promise).toBe('cut');
  });
});

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('one');
  await Bun.sleep(1);
  throw new Error('the client went away');
}
