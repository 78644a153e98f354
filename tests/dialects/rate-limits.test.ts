/** Headers of answers: whether anything is left of a key's limits, and when there will be. */
import { describe, expect, test } from 'bun:test';
import { readDurationMs } from '../../src/dialects/durations.ts';
import { readUsedUpMs } from '../../src/dialects/rate-limits.ts';
import { classifyUpstreamError } from '../../src/dialects/upstream-error.ts';

const now = Date.UTC(2026, 0, 15, 12);
const head = (...headers: string[]) =>
  ['HTTP/1.1 200 OK', 'Content-Type: application/json', ...headers, 'Date: x'].join('\r\n').toLowerCase();

describe('what is used up', () => {
  test.each<[string, string[], number]>([
    [
      'requests, of which there are some again in six minutes',
      ['X-RateLimit-Remaining-Requests: 0', 'X-RateLimit-Reset-Requests: 6m0s'],
      360_000,
    ],
    ['tokens, for a moment', ['x-ratelimit-reset-tokens: 120ms', 'x-ratelimit-remaining-tokens: 0'], 120],
    [
      'both: until the later of the two',
      [
        'x-ratelimit-remaining-requests: 0',
        'x-ratelimit-remaining-tokens: 0',
        'x-ratelimit-reset-requests: 1s',
        'x-ratelimit-reset-tokens: 7.5s',
      ],
      7500,
    ],
    [
      'one of two: what is left of the other does not matter',
      [
        'x-ratelimit-remaining-requests: 10',
        'x-ratelimit-remaining-tokens: 0',
        'x-ratelimit-reset-requests: 24h',
        'x-ratelimit-reset-tokens: 2s',
      ],
      2000,
    ],
    [
      'input tokens, until a time',
      [
        'anthropic-ratelimit-requests-remaining: 49',
        'anthropic-ratelimit-requests-reset: 2026-01-15T13:00:00Z',
        'anthropic-ratelimit-input-tokens-remaining: 0',
        'anthropic-ratelimit-input-tokens-reset: 2026-01-15T12:00:30Z',
      ],
      30_000,
    ],
    [
      'a day’s requests, in seconds',
      ['x-ratelimit-remaining-requests-day: 0', 'x-ratelimit-reset-requests-day: 33.5'],
      33_500,
    ],
    ['until a time since 1970', ['X-RateLimit-Remaining: 0', `X-RateLimit-Reset: ${now + 4000}`], 4000],
    ['in headers of the old draft', ['RateLimit-Remaining: 0', 'RateLimit-Reset: 50'], 50_000],
    ['in one header of the old draft', ['RateLimit: limit=100, remaining=0, reset=30'], 30_000],
    ['in one header of the new draft', ['RateLimit: "default";r=0;t=30'], 30_000],
    ['one policy of two', ['RateLimit: "minute";r=0;t=20, "day";r=5;t=9000'], 20_000],
  ])('%s', (_what, headers, ms) => {
    expect(readUsedUpMs(head(...headers), now)).toBe(ms);
  });

  test.each<[string, string[]]>([
    ['no limits are told', []],
    ['something is left', ['x-ratelimit-remaining-requests: 1', 'x-ratelimit-reset-requests: 6m0s']],
    ['ten are left', ['x-ratelimit-remaining-requests: 10', 'x-ratelimit-reset-requests: 6m0s']],
    ['less than one is left', ['x-ratelimit-remaining-requests: 0.5', 'x-ratelimit-reset-requests: 6m0s']],
    ['nobody says until when', ['x-ratelimit-remaining-tokens: 0']],
    ['nobody can read until when', ['x-ratelimit-remaining-tokens: 0', 'x-ratelimit-reset-tokens: soon']],
    [
      'it is over already',
      ['x-ratelimit-remaining-tokens: 0', 'x-ratelimit-reset-tokens: 2026-01-15T11:59:59Z'],
    ],
    ['it is no limit of ours', ['x-credits-remaining: 0', 'x-credits-reset: 60']],
    ['there is room in one header', ['RateLimit: limit=100, remaining=10, reset=30']],
    ['there is room in the other form', ['RateLimit: "default";r=10;t=30']],
    ['one header says nothing of it', ['RateLimit: hello, world']],
  ])('nothing, where %s', (_when, headers) => {
    expect(readUsedUpMs(head(...headers), now)).toBeUndefined();
  });
});

describe('a duration', () => {
  test.each<[string, number | undefined]>([
    ['1s', 1000],
    ['6m0s', 360_000],
    ['120ms', 120],
    ['17.39s', 17_390],
    ['1d2h', 93_600_000],
    ['0', 0],
    ['0.25', 250],
    [' 34 ', 34_000],
    ['Thu, 15 Jan 2026 12:01:00 GMT', 60_000],
    ['2026-01-15t12:00:01.500z', 1500],
    ['2026-01-15T11:00:00Z', 0],
    [String(now / 1000 + 5), 5000],
    ['-5', undefined],
    ['1e3', undefined],
    ['soon', undefined],
    ['', undefined],
  ])('%p', (text, ms) => {
    expect(readDurationMs(text, now)).toBe(ms);
  });
});

describe('when a refusal says to come back', () => {
  const refused = (headers: Record<string, string>) =>
    classifyUpstreamError(
      429,
      new Headers(headers),
      new TextEncoder().encode('{"error":{"message":"too many"}}'),
    );

  test.each<[string, Record<string, string>, number | undefined]>([
    ['in seconds', { 'retry-after': '7' }, 7],
    ['in parts of a second', { 'retry-after': '0.4' }, 1],
    ['in milliseconds', { 'retry-after-ms': '2500', 'retry-after': '60' }, 3],
    ['at a time that has passed', { 'retry-after': 'Thu, 15 Jan 2015 12:01:00 GMT' }, 0],
    ['not', {}, undefined],
    ['in no way anybody can read', { 'retry-after': '-5' }, undefined],
    [
      'in no way anybody can read, but with a limit that is used up',
      { 'retry-after': 'later', 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '3s' },
      3,
    ],
  ])('%s', (_how, headers, seconds) => {
    const error = refused(headers);
    expect(error.kind).toBe('upstream_rate_limited');
    expect(error.detail.retryAfterS).toBe(seconds!);
  });

  test('at a time', () => {
    const { retryAfterS } = refused({ 'retry-after': new Date(Date.now() + 60_000).toUTCString() }).detail;
    expect(retryAfterS).toBeGreaterThan(50);
    expect(retryAfterS).toBeLessThanOrEqual(60);
  });
});
