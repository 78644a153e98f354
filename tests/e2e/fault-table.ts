/** Every fault a provider is known for: how it looks on the wire, and what is to become of the call. */
import { gzipSync } from 'node:zlib';
import type { ErrorKind } from '../../src/core/error.ts';
import { failureOf, partsOf, refusalOf, said, type Visit, wholeOf, words } from '../faulty-provider.ts';

export type Way = 'whole' | 'streamed';

export interface Fault {
  /** Also the model's name. */
  name: string;
  way?: Way;
  play?(visit: Visit): void | Promise<void>;
  /** Of a provider that cannot even be reached. */
  url?: 'refused' | 'unknown' | 'untrusted' | 'no-tls' | 'mute-tls';
  /** Of the provider; otherwise there is all the time in the world. */
  timeout?: string;
  /** How the attempt is recorded. */
  outcome: ErrorKind;
  /** Of the provider, as it is recorded; 0 where there was none. */
  upstream: number;
  /** The provider's own refusal, which a client of its dialect hears as it is. */
  refusal?: true;
  /** Part of the answer has reached the client: no other target answers. */
  begun?: true;
  /** What suffers from it. */
  blames: 'target' | 'key' | 'nobody';
  /** No token was used, so that nothing is charged. */
  free?: true;
}

/** Longer than a busy machine takes to say that it has begun. */
const slow = 'first_byte: 1500ms, idle: 600ms';
const idle = 'first_byte: 30s, idle: 600ms';
const page = '<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>';

function refuses(
  status: number,
  type: string,
  message = 'It does not work just now.',
  headers: Record<string, string> = {},
): Pick<Fault, 'play' | 'refusal' | 'upstream' | 'free'> {
  return {
    play: (visit) => visit.answer(status, refusalOf(visit.dialect, status, type, message), headers),
    refusal: true,
    upstream: status,
    free: true,
  };
}

function openOnly(visit: Visit): void {
  visit.events();
  visit.chunk(partsOf(visit.dialect, words).opening.join(''));
}

const half = (visit: Visit): string => {
  const text = JSON.stringify(wholeOf(visit.dialect, said));
  return text.slice(0, text.length >> 1);
};

const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toUTCString();

const unreachable: Fault[] = [
  {
    name: 'nobody listens',
    url: 'refused',
    outcome: 'upstream_network',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'no such host',
    url: 'unknown',
    outcome: 'upstream_network',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'its certificate is its own',
    url: 'untrusted',
    outcome: 'upstream_network',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'it speaks no TLS',
    url: 'no-tls',
    outcome: 'upstream_network',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'no connection comes about in time',
    url: 'mute-tls',
    timeout: 'connect: 400ms',
    outcome: 'upstream_timeout',
    upstream: 0,
    blames: 'target',
    free: true,
  },
];

const silent: Fault[] = [
  {
    name: 'it resets the connection before any headers',
    play: (visit) => visit.reset(),
    outcome: 'upstream_network',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'it closes the connection before any headers',
    play: (visit) => visit.close(),
    outcome: 'upstream_network',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'headers never come',
    play: () => {},
    timeout: slow,
    outcome: 'upstream_timeout',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'half of the headers never come',
    play: (visit) => visit.write('HTTP/1.1 200 OK\r\ncontent-type: appl'),
    timeout: slow,
    outcome: 'upstream_timeout',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'headers come, and nothing more',
    play: (visit) => (visit.stream ? visit.events() : visit.head(200, { 'content-length': '500' })),
    timeout: slow,
    outcome: 'upstream_timeout',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'comments keep the connection open, and no token comes',
    way: 'streamed',
    play: (visit) => {
      openOnly(visit);
      void visit.keepOn(50, () => visit.chunk(': keep-alive\n\nevent: ping\ndata: {"type":"ping"}\n\n'));
    },
    timeout: slow,
    outcome: 'upstream_timeout',
    upstream: 200,
    blames: 'target',
  },
  {
    name: 'blank lines keep the connection open, and no answer comes',
    way: 'whole',
    play: (visit) => {
      visit.head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
      void visit.keepOn(50, () => visit.chunk('\n'));
    },
    timeout: slow,
    outcome: 'upstream_timeout',
    upstream: 200,
    blames: 'target',
    free: true,
  },
];

const refusing: Fault[] = [
  {
    name: '429 for thirty seconds',
    ...refuses(429, 'rate_limit_error', 'Slow down.', { 'retry-after': '30' }),
    outcome: 'upstream_rate_limited',
    blames: 'key',
  },
  {
    name: '429 until a date',
    ...refuses(429, 'rate_limit_error', 'Slow down.', { 'retry-after': inDays(0.01) }),
    outcome: 'upstream_rate_limited',
    blames: 'key',
  },
  {
    name: '429',
    ...refuses(429, 'rate_limit_error', 'Slow down.'),
    outcome: 'upstream_rate_limited',
    blames: 'key',
  },
  { name: '500', ...refuses(500, 'server_error'), outcome: 'upstream_unavailable', blames: 'target' },
  { name: '502', ...refuses(502, 'bad_gateway'), outcome: 'upstream_unavailable', blames: 'target' },
  { name: '503', ...refuses(503, 'server_error'), outcome: 'upstream_overloaded', blames: 'target' },
  { name: '529', ...refuses(529, 'overloaded_error'), outcome: 'upstream_overloaded', blames: 'target' },
  {
    name: 'a page of a proxy',
    play: (visit) => visit.answer(502, page, { 'content-type': 'text/html' }),
    upstream: 502,
    outcome: 'upstream_unavailable',
    blames: 'target',
    free: true,
  },
  {
    name: '401',
    ...refuses(401, 'authentication_error', 'Who are you?'),
    outcome: 'upstream_auth',
    blames: 'key',
  },
  {
    name: '403 of a dead key',
    ...refuses(403, 'permission_error', 'Your API key was revoked.'),
    outcome: 'upstream_auth',
    blames: 'key',
  },
  {
    name: '403 of what is asked',
    ...refuses(403, 'permission_error', 'Not this.'),
    outcome: 'upstream_auth',
    blames: 'nobody',
  },
  {
    name: '402',
    ...refuses(402, 'payment_required', 'Pay first.'),
    outcome: 'upstream_quota',
    blames: 'key',
  },
  {
    name: 'no quota is left',
    ...refuses(429, 'insufficient_quota', 'You exceeded your quota.'),
    outcome: 'upstream_quota',
    blames: 'key',
  },
  {
    name: 'the context is too long',
    ...refuses(400, 'context_length_exceeded', 'prompt is too long: 9 tokens > 8 maximum'),
    outcome: 'context_length',
    blames: 'nobody',
  },
  {
    name: 'no such model',
    ...refuses(404, 'not_found_error', 'No such model.'),
    outcome: 'upstream_not_found',
    blames: 'nobody',
  },
  {
    name: 'the request took too long',
    ...refuses(408, 'timeout_error'),
    outcome: 'upstream_timeout',
    blames: 'target',
  },
  {
    name: 'a refusal that breaks off',
    play: (visit) => {
      visit.head(503, { 'content-type': 'application/json', 'content-length': '900' });
      visit.write('{"error":{"message":"half');
      visit.close();
    },
    upstream: 503,
    outcome: 'upstream_overloaded',
    blames: 'target',
    free: true,
  },
  {
    name: 'a refusal without end',
    play: (visit) => {
      visit.head(500, { 'content-type': 'text/plain', 'transfer-encoding': 'chunked' });
      void visit.keepOn(1, () => visit.chunk('no '.repeat(30_000)));
    },
    upstream: 500,
    outcome: 'upstream_unavailable',
    blames: 'target',
    free: true,
  },
];

const untrue: Fault[] = [
  {
    name: '200 with an error in it',
    play: (visit) => visit.answer(200, refusalOf(visit.dialect, 503, 'overloaded_error', 'Too much to do.')),
    outcome: 'upstream_overloaded',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'a stream that begins with an error',
    way: 'streamed',
    play: (visit) => {
      visit.events();
      visit.chunk(failureOf(visit.dialect, 'Too much to do.'));
      visit.end();
    },
    outcome: 'upstream_overloaded',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'a stream that opens and then fails',
    way: 'streamed',
    play: (visit) => {
      openOnly(visit);
      visit.chunk(failureOf(visit.dialect, 'Too much to do.'));
      visit.end();
    },
    outcome: 'upstream_overloaded',
    upstream: 200,
    blames: 'target',
  },
  {
    name: 'an answer without a word',
    way: 'whole',
    play: (visit) => visit.answer(200, wholeOf(visit.dialect, '')),
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'nobody',
  },
  {
    name: 'a stream without a word',
    way: 'streamed',
    play: (visit) => {
      const { opening, rest } = partsOf(visit.dialect, []);
      visit.events();
      for (const frame of [...opening, ...rest]) visit.chunk(frame);
      visit.end();
    },
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'nobody',
  },
  {
    name: 'a stream that only opens',
    way: 'streamed',
    play: (visit) => {
      openOnly(visit);
      visit.end();
    },
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
  },
  {
    name: 'a body without a byte',
    play: (visit) =>
      visit.answer(200, '', { 'content-type': visit.stream ? 'text/event-stream' : 'application/json' }),
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'an answer that is no JSON',
    way: 'whole',
    play: (visit) => visit.answer(200, half(visit)),
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'a stream that begins with nonsense',
    way: 'streamed',
    play: (visit) => {
      visit.events();
      visit.chunk(`data: ${half(visit)}\n\n`);
      visit.end();
    },
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'a page where an answer should be',
    play: (visit) => visit.answer(200, page, { 'content-type': 'text/html' }),
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'a redirection',
    play: (visit) => visit.answer(302, '', { location: 'http://127.0.0.1:1/' }),
    outcome: 'upstream_invalid',
    upstream: 302,
    blames: 'target',
    free: true,
  },
];

const notHttp: Fault[] = [
  {
    name: 'no HTTP at all',
    play: (visit) => visit.write('SSH-2.0-OpenSSH_9.6\r\n\r\n'),
    outcome: 'upstream_invalid',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'headers without end',
    play: (visit) => {
      visit.write('HTTP/1.1 200 OK\r\n');
      void visit.keepOn(1, () => visit.write(`x-more: ${'x'.repeat(8000)}\r\n`));
    },
    outcome: 'upstream_invalid',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'two lengths',
    play: (visit) => visit.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!'),
    outcome: 'upstream_invalid',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'broken gzip',
    play: (visit) => {
      const type = visit.stream ? 'text/event-stream' : 'application/json';
      visit.answer(200, new Uint8Array(200).fill(7), { 'content-type': type, 'content-encoding': 'gzip' });
    },
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'gzip that ends too early',
    play: (visit) => {
      const type = visit.stream ? 'text/event-stream' : 'application/json';
      const zipped = gzipSync(' '.repeat(100_000));
      visit.answer(200, zipped.subarray(0, zipped.length >> 1), {
        'content-type': type,
        'content-encoding': 'gzip',
      });
    },
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'an encoding nobody knows',
    play: (visit) => visit.answer(200, 'hello', { 'content-encoding': 'rot13' }),
    outcome: 'upstream_invalid',
    upstream: 0,
    blames: 'target',
    free: true,
  },
  {
    name: 'an answer shorter than its length',
    way: 'whole',
    play: (visit) => {
      const text = half(visit);
      visit.head(200, { 'content-type': 'application/json', 'content-length': String(text.length * 2) });
      visit.write(text);
      visit.close();
    },
    outcome: 'upstream_network',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'an answer that stops in the middle',
    way: 'whole',
    play: (visit) => {
      visit.head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
      visit.chunk(half(visit));
    },
    timeout: slow,
    outcome: 'upstream_timeout',
    upstream: 200,
    blames: 'target',
    free: true,
  },
  {
    name: 'a prelude without end',
    way: 'streamed',
    play: (visit) => {
      visit.events();
      void visit.keepOn(1, () => visit.chunk(`: ${'x'.repeat(100_000)}\n\n`));
    },
    outcome: 'upstream_invalid',
    upstream: 200,
    blames: 'target',
    free: true,
  },
];

/** Spoils a stream of which the client has the beginning. */
type Spoil = (visit: Visit) => void | Promise<void>;

const lastPiece = (visit: Visit): string => partsOf(visit.dialect, words.slice(0, 41)).pieces.at(-1)!;
/** JSON that has lost its end, in an event that has not. */
const broken = (frame: string): string => `${frame.trimEnd().slice(0, -20)}\n\n`;

/** As if nothing had been wrong. */
function goOn(visit: Visit): void {
  visit.chunk(partsOf(visit.dialect, words).rest.join(''));
  visit.end();
}

const spoils: readonly [name: string, outcome: ErrorKind, spoil: Spoil][] = [
  ['cut at word 40', 'upstream_invalid', (visit) => visit.end()],
  ['closed at word 40', 'upstream_network', (visit) => visit.close()],
  ['reset at word 40', 'upstream_network', (visit) => visit.reset()],
  ['stalled at word 40', 'upstream_timeout', () => {}],
  [
    'closed in the middle of an event',
    'upstream_network',
    (visit) => {
      visit.chunk(lastPiece(visit).slice(0, -20));
      visit.close();
    },
  ],
  [
    'ended in the middle of an event',
    'upstream_invalid',
    (visit) => {
      visit.chunk(lastPiece(visit).slice(0, -20));
      visit.end();
    },
  ],
  [
    'that turns into nonsense',
    'upstream_invalid',
    async (visit) => {
      visit.chunk(broken(lastPiece(visit)));
      // What comes in one piece with the finish is looked at anyway.
      await Bun.sleep(60);
      goOn(visit);
    },
  ],
  [
    'that turns into nonsense after a word that came with it',
    'upstream_invalid',
    async (visit) => {
      visit.chunk(lastPiece(visit) + broken(lastPiece(visit)));
      await Bun.sleep(60);
      goOn(visit);
    },
  ],
  [
    'that reports a failure',
    'upstream_overloaded',
    (visit) => {
      visit.chunk(failureOf(visit.dialect, 'Too much to do.'));
      visit.end();
    },
  ],
  ['whose chunks are none any more', 'upstream_invalid', (visit) => visit.write('never mind\r\n')],
];

const begun = spoils.map(([name, outcome, spoil]): Fault => {
  const play = async (visit: Visit): Promise<void> => {
    const { opening, pieces } = partsOf(visit.dialect, words.slice(0, 40));
    visit.events();
    visit.chunk(opening.join(''));
    for (const piece of pieces) visit.chunk(piece);
    await visit.shown;
    await spoil(visit);
  };
  return {
    name: `a stream ${name}`,
    way: 'streamed',
    play,
    outcome,
    upstream: 200,
    begun: true,
    blames: 'target',
    ...(outcome === 'upstream_timeout' ? { timeout: idle } : {}),
  };
});

/** The same, announced as longer than it is. */
const short: Fault = {
  name: 'a stream shorter than its length',
  way: 'streamed',
  play: async (visit) => {
    const { opening, pieces } = partsOf(visit.dialect, words.slice(0, 40));
    visit.head(200, { 'content-type': 'text/event-stream', 'content-length': '1000000' });
    visit.write([...opening, ...pieces].join(''));
    await visit.shown;
    visit.close();
  },
  outcome: 'upstream_network',
  upstream: 200,
  begun: true,
  blames: 'target',
};

export const faults: readonly Fault[] = [
  ...unreachable,
  ...silent,
  ...refusing,
  ...untrue,
  ...notHttp,
  ...begun,
  short,
];
