/** What is waited for and how long, by a clock of the test's own. */
import { describe, expect, test } from 'bun:test';
import type { Endpoint, Timeouts } from '../../src/config/snapshot.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { Deadlines } from '../../src/gateway/deadlines.ts';
import type { Outbound } from '../../src/gateway/render.ts';
import { Upstream } from '../../src/gateway/upstream.ts';
import { Exchange } from '../../src/wire/http/exchange.ts';
import type { HttpPool } from '../../src/wire/http/pool.ts';
import { makeProvider, makeTarget } from '../routing/targets.ts';

const usual: Timeouts = {
  connectMs: 1_000,
  firstByteMs: 20_000,
  idleMs: 30_000,
  minBytesPerS: 10,
  totalMs: 200_000,
  sessionMs: 200_000,
};

const carrier = {
  pause() {},
  resume() {},
  release() {},
  write() {},
  end() {},
  unsentBytes: 0,
};
const head = new TextEncoder().encode('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n');

/** One attempt, and a clock that moves only when told. */
function begin(timeouts?: Partial<Timeouts>) {
  let nowMs = 0;
  const deadlines = new Deadlines(() => nowMs);
  const provider = { ...makeProvider('acme'), timeouts: usual };
  const endpoint: Endpoint = {
    dialect: openaiChat,
    base: 'http://127.0.0.1:1',
    headers: {},
    framing: 'sse',
    path: () => '/',
  };
  const outbound: Outbound = {
    target: makeTarget('m', provider),
    endpoint,
    path: '/',
    url: 'http://127.0.0.1:1/',
    body: '{}',
    relay: false,
    hideUsage: false,
    lost: [],
    names: undefined,
    form: undefined,
  };
  const exchange = new Exchange();
  exchange.answered.catch(() => {});
  const http = { ask: () => exchange } as unknown as HttpPool;
  const upstream = new Upstream(outbound, deadlines, { gone: false }, timeouts);
  upstream.send(http, { key: undefined, client: new Headers() }).catch(() => {});
  return {
    upstream,
    connect: () => exchange.attach(carrier),
    /** So many bytes come, and the gateway looks at them. */
    come(bytes: number): void {
      if (!exchange.begun) exchange.push(head);
      exchange.push(new Uint8Array(bytes));
      upstream.touch();
    },
    /** @returns why it was given up by then; undefined: it was not. */
    at(ms: number): string | undefined {
      for (; nowMs < ms; nowMs += 50) deadlines.sweep();
      nowMs = ms;
      deadlines.sweep();
      const { kind, message } = upstream.failure(new Error('not given up'));
      return kind === 'upstream_timeout' ? message : undefined;
    },
  };
}

describe('a connection', () => {
  test('is waited for no longer than it may take', () => {
    const attempt = begin();
    expect(attempt.at(950)).toBeUndefined();
    expect(attempt.at(1_050)).toContain('for a connection');
  });

  test('that stands leaves the rest of the time to the first token', () => {
    const attempt = begin();
    attempt.connect();
    expect(attempt.at(19_900)).toBeUndefined();
    expect(attempt.at(20_050)).toContain('for the first token');
  });

  test('has the time a route gives it', () => {
    expect(begin({ connectMs: 5_000 }).at(4_900)).toBeUndefined();
    expect(begin({ connectMs: 300 }).at(400)).toContain('for a connection');
  });
});

describe('an answer that has begun', () => {
  test('may be silent for a while', () => {
    const attempt = begin({ minBytesPerS: 0 });
    attempt.connect();
    attempt.at(15_000);
    attempt.come(1);
    expect(attempt.at(44_900)).toBeUndefined();
    expect(attempt.at(45_050)).toContain('for the next part');
  });

  test('has to end', () => {
    const attempt = begin();
    attempt.connect();
    for (let ms = 1_000; ms < 200_000; ms += 1_000) {
      expect(attempt.at(ms)).toBeUndefined();
      attempt.come(100);
    }
    expect(attempt.at(200_050)).toContain('200000 ms');
  });
});

describe('a rate', () => {
  test('of less than the least over ten seconds is too little', () => {
    const attempt = begin();
    attempt.connect();
    attempt.come(1_000);
    for (let ms = 1_000; ms < 10_000; ms += 1_000) {
      expect(attempt.at(ms)).toBeUndefined();
      attempt.come(9);
    }
    expect(attempt.at(10_050)).toContain('more than 81 bytes in 10 s');
  });

  test('is looked at anew every ten seconds, and bursts count for their own only', () => {
    const attempt = begin();
    attempt.connect();
    attempt.come(1);
    for (let ms = 5_000; ms <= 60_000; ms += 5_000) {
      expect(attempt.at(ms)).toBeUndefined();
      attempt.come(120);
    }
    attempt.come(1_000_000);
    expect(attempt.at(69_900)).toBeUndefined();
    attempt.come(1);
    expect(attempt.at(80_050)).toContain('bytes in 10 s');
  });

  test('does not count while the client takes its time', () => {
    const attempt = begin();
    attempt.connect();
    attempt.come(1);
    attempt.at(4_000);
    attempt.upstream.rest();
    expect(attempt.at(60_000)).toBeUndefined();
    attempt.upstream.touch();
    expect(attempt.at(65_900)).toBeUndefined();
    expect(attempt.at(66_050)).toContain('bytes in 10 s');
  });

  test('matters to nobody who named none', () => {
    const attempt = begin({ minBytesPerS: 0 });
    attempt.connect();
    for (let ms = 1_000; ms < 190_000; ms += 20_000) {
      expect(attempt.at(ms)).toBeUndefined();
      attempt.come(1);
    }
  });
});
