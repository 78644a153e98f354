/** Frames of the WebSocket protocol: what is written can be read however it is cut, and what breaks the protocol is told. */
import { describe, expect, test } from 'bun:test';
import { pairTunnels } from '../../src/wire/tunnel.ts';
import {
  FrameError,
  type Message,
  writeClose,
  writeMessage,
  writePing,
} from '../../src/wire/websocket/frames.ts';
import { acceptHeaders, acceptKey, asksProperly, asksToSwitch } from '../../src/wire/websocket/handshake.ts';
import { WebSocketPeer } from '../../src/wire/websocket/peer.ts';
import { MessageReader } from '../../src/wire/websocket/reader.ts';

type Heard = [kind: 'message' | 'ping' | 'pong' | 'close', ...what: unknown[]];

function readAll(chunks: Iterable<Uint8Array>, masked: boolean, maxBytes = 1e6): Heard[] {
  const heard: Heard[] = [];
  const reader = new MessageReader(
    {
      message: (message) => heard.push(['message', message]),
      ping: (data) => heard.push(['ping', data]),
      pong: (data) => heard.push(['pong', data]),
      close: (code, reason) => heard.push(['close', code, reason]),
    },
    masked,
    maxBytes,
  );
  for (const chunk of chunks) reader.push(chunk);
  return heard;
}

function faultOf(bytes: readonly number[], masked = false, maxBytes = 1000): number | undefined {
  try {
    readAll([new Uint8Array(bytes)], masked, maxBytes);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(FrameError);
    return (error as FrameError).code;
  }
}

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7);

describe('what is written is read', () => {
  const messages: Message[] = ['', 'grüße 👋', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65_535), 'é'.repeat(40_000), bytes(0), bytes(1), bytes(127), bytes(70_001)]; // biome-ignore format: one list

  test.each([true, false])('in all sizes (masked: %p)', (masked) => {
    const frames = messages.map((message) => writeMessage(message, masked));
    expect(readAll([Buffer.concat(frames)], masked)).toEqual(messages.map((message) => ['message', message]));
  });

  test('masked by another key each time, which hides the text', () => {
    const frames = Array.from({ length: 20 }, () => Buffer.from(writeMessage('a secret text', true)));
    expect(new Set(frames.map((frame) => frame.toString('hex'))).size).toBe(20);
    for (const frame of frames) expect(frame.includes('secret')).toBe(false);
  });

  test.each([true, false])('wherever it is cut (masked: %p)', (masked) => {
    const whole = Buffer.concat([
      writeMessage('hello', masked),
      writePing(bytes(3), masked),
      writeMessage(bytes(200), masked),
      writeClose(4001, 'grüße', masked),
    ]);
    const expected: Heard[] = [
      ['message', 'hello'],
      ['ping', bytes(3)],
      ['message', bytes(200)],
      ['close', 4001, 'grüße'],
    ];
    for (let at = 0; at <= whole.length; at++) {
      expect(readAll([whole.subarray(0, at), whole.subarray(at)], masked)).toEqual(expected);
    }
    expect(
      readAll(
        Array.from(whole, (byte) => new Uint8Array([byte])),
        masked,
      ),
    ).toEqual(expected);
  });

  test('in fragments, with a ping between them', () => {
    const parts = [
      [0x01, 2, 0x68, 0xc3],
      [0x89, 1, 0x2a],
      [0x00, 0],
      [0x80, 1, 0xa9],
    ];
    expect(
      readAll(
        parts.map((part) => new Uint8Array(part)),
        false,
      ),
    ).toEqual([
      ['ping', new Uint8Array([0x2a])],
      ['message', 'hé'],
    ]);
  });

  test('nothing behind a close frame', () => {
    const after = Buffer.concat([writeClose(1000, '', false), writeMessage('more', false)]);
    expect(readAll([after], false)).toEqual([['close', 1000, '']]);
  });

  test('a close without a code, and reasons that are too long', () => {
    expect(readAll([writeClose(1006, 'never said', false)], false)).toEqual([['close', 1005, '']]);
    const [[, code, reason] = []] = readAll([writeClose(1008, 'é'.repeat(100), false)], false);
    expect([code, reason]).toEqual([1008, 'é'.repeat(61)]);
  });
});

describe('what breaks the protocol', () => {
  test.each<[string, number, number[], boolean?]>([
    ['reserved bits', 1002, [0xc1, 0]],
    ['an unknown opcode', 1002, [0x83, 0]],
    ['an unknown control opcode', 1002, [0x8b, 0]],
    ['a server that masks', 1002, [0x81, 0x80, 0, 0, 0, 0]],
    ['a client that does not', 1002, [0x81, 0], true],
    ['a continuation of nothing', 1002, [0x80, 0]],
    ['a message within a message', 1002, [0x01, 0, 0x81, 0]],
    ['a ping in fragments', 1002, [0x09, 0]],
    ['a ping of 126 bytes', 1002, [0x89, 126, 0, 126]],
    ['a close code of one byte', 1002, [0x88, 1, 3]],
    ['a close code that must not be sent', 1002, [0x88, 2, 0x03, 0xee]],
    ['text that is not UTF-8', 1007, [0x81, 1, 0xff]],
    ['half a character', 1007, [0x81, 1, 0xc3]],
    ['a frame that is too large', 1009, [0x82, 126, 0x03, 0xe9]],
    ['a length beyond all bounds', 1009, [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]],
    ['fragments that are too large together', 1009, [0x02, 2, 1, 2, 0x80, 126, 0x03, 0xe7]],
  ])('%s: %p', (_, code, frame, masked = false) => {
    expect(faultOf(frame, masked)).toBe(code);
  });

  test('is told before what was announced has arrived', () => {
    expect(faultOf([0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0])).toBe(1009);
  });

  test('any bytes are a message or a fault', () => {
    let seed = 7;
    const next = (): number => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
      return seed >> 16;
    };
    for (let i = 0; i < 5000; i++) {
      const noise = Array.from({ length: 1 + (next() % 40) }, () => next() & 0xff);
      const code = faultOf(noise, i % 2 === 0);
      expect([undefined, 1002, 1007, 1009]).toContain(code);
    }
  });
});

describe('the handshake', () => {
  test('accepts by the example of the RFC', () => {
    expect(acceptKey('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  test('is asked for in full or not at all', () => {
    const asked = { upgrade: 'WebSocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'x' };
    const ask = (headers: Record<string, string>) => asksToSwitch((name) => headers[name]);
    expect(ask(asked)).toBe(true);
    expect(ask({ ...asked, upgrade: 'h2c' })).toBe(false);
    expect(ask({ ...asked, 'sec-websocket-version': '8' })).toBe(false);
    expect(ask({ ...asked, 'sec-websocket-key': '' })).toBe(false);
  });
});

test('what is asked properly is accepted', () => {
  const asked = { connection: 'keep-alive, Upgrade', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
  const ask = (headers: Record<string, string>) => asksProperly((name) => headers[name] ?? null);
  expect(ask(asked)).toBe(true);
  expect(ask({ ...asked, connection: 'upgraded' })).toBe(false);
  expect(ask({ ...asked, 'sec-websocket-key': 'short' })).toBe(false);
  expect(acceptHeaders(new Headers(asked))).toEqual({
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  });
});

describe('two peers', () => {
  function connect() {
    const [near, far] = pairTunnels();
    const log: string[] = [];
    const side = (name: string) => ({
      message: (message: Message) => log.push(`${name} ${message}`),
      ping: () => log.push(`${name} ping`),
      drained: () => {},
      closed: (code: number, reason: string) => log.push(`${name} closed ${code} ${reason}`),
    });
    const client = new WebSocketPeer(near, side('client'), true, 1000);
    const server = new WebSocketPeer(far, side('server'), false, 1000);
    const done = Promise.all([client.listen(), server.listen()]);
    return { client, server, far, log, done };
  }

  test('talk and part in good order', async () => {
    const { client, server, log, done } = connect();
    client.send('one');
    client.send('two');
    server.ping(new Uint8Array(2));
    server.send('three');
    await Bun.sleep(1);
    client.close(4002, 'enough');
    client.send('after the last word');
    await done;
    expect(log.filter((line) => line.startsWith('server'))).toEqual(['server one', 'server two', 'server closed 4002 enough']); // biome-ignore format: one list
    expect(log.filter((line) => line.startsWith('client'))).toEqual(['client ping', 'client three', 'client closed 4002 enough']); // biome-ignore format: one list
  });

  test('notice when the other one is gone', async () => {
    const { far, log, done } = connect();
    far.cut();
    await done;
    expect(log.toSorted()).toEqual(['client closed 1006 ', 'server closed 1006 ']);
  });

  test('ask each other whether they are there, and hang up when nobody answers', async () => {
    const { server, log, done } = connect();
    server.keepAlive(20);
    await Bun.sleep(100);
    expect(log).toContain('client ping');
    expect(log.join()).not.toInclude('closed');
    server.close(1000, '');
    await done;
    const [near] = pairTunnels();
    const closed: number[] = [];
    const events = {
      message: () => {},
      ping: () => {},
      drained: () => {},
      closed: (code: number) => closed.push(code),
    };
    const alone = new WebSocketPeer(near, events, false, 1000);
    alone.keepAlive(20);
    // What nobody reads waits in this tunnel for ever: as if it had been sent.
    Object.defineProperty(near, 'unsentBytes', { value: 0 });
    await alone.listen();
    expect(closed).toEqual([1006]);
  });

  test('close with the code of what was broken', async () => {
    const { client, log, done } = connect();
    client.send('x'.repeat(1001));
    await done;
    expect(log).toContain('client closed 1009 a message is larger than 1000 bytes');
    expect(log).toContain('server closed 1006 a message is larger than 1000 bytes');
  });

  test('are read no further while somebody is not ready', async () => {
    const [near, far] = pairTunnels();
    const heard: Message[] = [];
    const events = {
      message: (message: Message) => void heard.push(message),
      ping: () => {},
      drained: () => {},
      closed: () => {},
    };
    const sender = new WebSocketPeer(near, events, true, 1000);
    const reader = new WebSocketPeer(far, events, false, 1000);
    const gate = Promise.withResolvers<void>();
    void reader.listen(() => gate.promise);
    for (let i = 0; i < 10; i++) sender.send(`${i}`);
    await Bun.sleep(5);
    expect(heard).toEqual([]);
    expect(sender.unsentBytes).toBeGreaterThan(0);
    gate.resolve();
    await Bun.sleep(5);
    expect(heard).toHaveLength(10);
  });
});
