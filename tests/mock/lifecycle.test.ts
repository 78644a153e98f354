/** Time, silence and departures: what happens on the connection, in process and over a real socket. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMock, type MockOptions } from '../../src/mock/mock.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';

const asking = (model: string, stream = true): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello world, how are you?' }] }),
});
const path = '/v1/chat/completions';

describe('in process', () => {
  const ask = (model: string, init: RequestInit = {}, options: MockOptions = {}) => {
    const mock = createMock(options);
    return { mock, answer: mock.transport(`http://mock${path}`, { ...asking(model), ...init }) };
  };

  test('a slow stream says the same as a quick one', async () => {
    const text = async (model: string): Promise<string> => {
      const { answer } = ask(model, {}, { seed: 3 });
      return (await (await answer).text()).replaceAll(/"(created|model)":("[^"]*"|\d+)/g, '');
    };
    const quick = await text('echo');
    for (const model of ['echo:delay=1ms', 'echo:split=event', 'echo:split=7', 'first:2ms', 'delay:2ms']) {
      expect(await text(model)).toBe(quick);
    }
  });

  test('a client that cancels the body is counted and the answer ends', async () => {
    const { mock, answer } = ask('stall:after=1');
    const reader = (await answer).body?.getReader();
    await reader?.read();
    expect(mock.counters).toEqual({ calls: 1, open: 1, finished: 0, aborted: 0 });
    await reader?.cancel();
    expect(mock.counters).toEqual({ calls: 1, open: 0, finished: 0, aborted: 1 });
  });

  test('a signal ends the wait before headers and within the body', async () => {
    for (const model of ['delay:60s', 'first:60s', 'stall:after=1', 'echo:delay=60s']) {
      const leaving = new AbortController();
      const { mock, answer } = ask(model, { signal: leaving.signal });
      const text = answer.then((response) => response.text());
      setTimeout(() => leaving.abort(new Error('gone')), 5);
      await expect(text).rejects.toThrow('gone');
      expect(mock.counters).toMatchObject({ open: 0, finished: 0, aborted: 1 });
    }
  });

  test('whoever leaves after the end was served', async () => {
    const leaving = new AbortController();
    const { mock, answer } = ask('echo:delay=1ms', { signal: leaving.signal });
    await (await answer).text();
    leaving.abort();
    expect(mock.counters).toEqual({ calls: 1, open: 0, finished: 1, aborted: 0 });
  });
});

describe('over a socket', () => {
  let fake: FakeProvider;
  beforeAll(async () => {
    fake = await startFakeProvider();
  });
  afterAll(() => fake.stop());

  /** Sends one request by hand; resolves with all that came and how the connection ended. */
  function raw(model: string, stream = true): Promise<{ received: string; ended: string }> {
    const body = asking(model, stream).body as string;
    const head = `POST ${path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`;
    return new Promise((resolve) => {
      let received = '';
      const socket = connect(Number(new URL(fake.url).port), '127.0.0.1', () => socket.write(head + body));
      socket.on('data', (data) => {
        received += data;
      });
      socket.on('error', (error) =>
        resolve({ received, ended: (error as { code?: string }).code ?? 'error' }),
      );
      socket.on('end', () => resolve({ received, ended: 'FIN' }));
    });
  }

  test('reset tears the connection down, before or within the answer', async () => {
    expect(await raw('reset:after=0')).toEqual({ received: '', ended: 'ECONNRESET' });
    expect((await raw('reset:after=2')).ended).toBe('ECONNRESET');
    const failing = fetch(fake.url + path, asking('reset:after=2')).then((response) => response.text());
    await expect(failing).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('a cut stream ends properly but without terminator', async () => {
    const { received, ended } = await raw('cut:after=2');
    expect([received.match(/data: /g)?.length, ended]).toEqual([2, 'FIN']);
    expect(received).toEndWith('0\r\n\r\n');
    expect(received).not.toContain('[DONE]');
  });

  test('a cut whole answer is shorter than announced', async () => {
    const { received, ended } = await raw('cut', false);
    const [head = '', body = ''] = received.split('\r\n\r\n');
    const announced = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    expect([ended, body.length]).toEqual(['FIN', announced >> 1]);
  });

  test('headers come at once though the first byte is late', async () => {
    const leaving = new AbortController();
    const answer = await fetch(fake.url + path, { ...asking('first:60s'), signal: leaving.signal });
    expect(answer.status).toBe(200);
    leaving.abort();
    await fake.until(() => fake.mock.counters.open === 0);
  });

  test('a client that goes away is noticed whatever the mock waits for', async () => {
    for (const model of ['delay:60s', 'first:60s', 'stall:after=1', 'echo:delay=5ms,chunks=100000']) {
      const { counters } = fake.mock;
      const { aborted, calls } = counters;
      const leaving = new AbortController();
      const answer = fetch(fake.url + path, { ...asking(model), signal: leaving.signal });
      const text = answer.then((response) => response.text());
      await fake.until(() => counters.calls === calls + 1);
      leaving.abort();
      await expect(text).rejects.toThrow();
      await fake.until(() => counters.aborted === aborted + 1);
      expect(counters.open).toBe(0);
    }
  });

  test('requests are kept and behaviours scripted call by call', async () => {
    fake.script('moody', 'status:503', 'status:429', 'echo');
    const statuses: number[] = [];
    for (let call = 0; call < 4; call++)
      statuses.push((await fetch(fake.url + path, asking('moody', false))).status);
    expect(statuses).toEqual([503, 429, 200, 200]);
    expect(fake.callsOf('moody')).toBe(4);
    expect(fake.requests.at(-1)).toMatchObject({ method: 'POST', path, body: { model: 'moody' } });
  });
});

describe('replay', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mock-'));
  const inside = join(folder, 'recordings');
  const sse = 'data: {"a": 1}\r\n\r\n: ping\n\ndata: {"ü":"🎉"}\n\ndata: [DONE]\n\n';
  const write = (name: string, response: unknown): void =>
    writeFileSync(join(folder, name), JSON.stringify({ response }));
  const ask = (model: string, recordings: string | undefined = inside): Promise<Response> =>
    createMock({ recordings }).transport(`http://mock${path}`, asking(model));

  beforeAll(() => {
    mkdirSync(inside);
    write('recordings/stream.json', {
      status: 200,
      headers: { 'content-type': 'text/event-stream', date: 'x' },
      sse,
    });
    write('recordings/error.json', {
      status: 418,
      headers: { 'x-teapot': 'yes' },
      body: { error: { message: 'short' } },
    });
    write('secret.json', { status: 200, headers: {}, body: 'secret' });
    symlinkSync(join(folder, 'secret.json'), join(inside, 'link.json'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('text comes back byte for byte, however it is split', async () => {
    for (const model of [
      'replay:stream.json',
      'replay:stream.json,split=1',
      'replay:stream.json,split=event',
    ]) {
      const answer = await ask(model);
      expect([answer.headers.get('content-type'), answer.headers.has('date')]).toEqual([
        'text/event-stream',
        false,
      ]);
      expect(await answer.text()).toBe(sse);
    }
    expect(await (await ask('replay:stream.json,fault=cut,after=1')).text()).toBe('data: {"a": 1}\r\n\r\n');
  });

  test('status, headers and body are those recorded', async () => {
    const answer = await ask('replay:error.json');
    expect([answer.status, answer.headers.get('x-teapot')]).toEqual([418, 'yes']);
    expect(await answer.json()).toEqual({ error: { message: 'short' } });
  });

  test('nothing outside the folder is read', async () => {
    for (const file of [
      '../secret.json',
      'link.json',
      join(folder, 'secret.json'),
      'x/../../secret.json',
      '.',
      'no.json',
    ]) {
      const answer = await ask(`replay:${file}`);
      expect(answer.status).toBe(404);
      expect(await answer.text()).not.toContain('secret"');
    }
    const without = await createMock().transport(`http://mock${path}`, asking('replay:stream.json'));
    expect(without.status).toBe(404);
  });

  const recordings = join(import.meta.dir, '../../../shared/recordings');
  const example = 'anthropic-messages/anthropic/duplicate-message-start.0.vercel.stream.json';
  test.skipIf(!existsSync(recordings))(
    'recorded provider traffic replays (skipped without ../shared/recordings)',
    async () => {
      const recorded = await Bun.file(join(recordings, example)).json();
      const answer = await ask(`replay:${example}`, recordings);
      expect(await answer.text()).toBe(recorded.response.sse);
    },
  );
});
