/** Limits nobody can mean: refused with what to write instead, in the file, by the API's schema and on the command line. */
import { describe, expect, test } from 'bun:test';
import { parseLimit } from '../../src/cli/limit.ts';
import { limit } from '../../src/config/limit-schema.ts';
import { readConfig } from '../../src/config/load.ts';
import { formatMistakes } from '../../src/config/mistakes.ts';

const whole = 'must be a whole number from 1 to';
const cases: [written: string, says: string][] = [
  ...['0', '-5', '1.5', '.nan', '.inf', '1e308', 'many', '""', '[1]', 'null'].map((n): [string, string] => [
    `{ requests: ${n}, per: day }`,
    whole,
  ]),
  ['{ tokens: 0.5, per: hour }', whole],
  ['{ tokens: 1e16, per: hour }', whole],
  ['{ usd: 0, per: day }', 'must be an amount above 0'],
  ['{ usd: -1, per: day }', 'must be an amount above 0'],
  ['{ usd: .nan, per: day }', 'must be an amount above 0'],
  ['{ usd: 1e308, per: day }', 'at most 9000000'],
  ['{ usd: 1e-10, per: day }', '0.000000001 is the least'],
  ['{ usd: "5 USD", per: day }', 'must be an amount above 0'],
  ['{ concurrency: 0 }', whole],
  ['{ concurrency: 8, per: day }', 'remove per'],
  ['{ concurrency: 8, sliding: true }', 'remove sliding'],
  ['{ concurrency: 8, time_zone: UTC }', 'remove time_zone'],
  ['{ concurrency: 8, warn: [50] }', 'remove warn'],
  ['{ concurrency: 8, when_exhausted: cut }', 'remove when_exhausted'],
  ['{ requests: 8, per: day, when_exhausted: finish }', 'remove when_exhausted'],
  ['{ usd: 5 }', 'needs a window; add per: minute'],
  ['{ usd: 5, per: decade }', 'must be second, minute, hour, day, week, month or lifetime'],
  ['{ usd: 5, per: day, time_zone: Mars/Olympus }', 'write it as Europe/Berlin'],
  ['{ usd: 5, per: day, time_zone: "+02:00" }', 'write it as Europe/Berlin'],
  ['{ usd: 5, per: day, time_zone: 7 }', 'must be the name of a time zone'],
  ['{ usd: 5, per: day, sliding: true, time_zone: Europe/Berlin }', 'remove time_zone or sliding'],
  ['{ usd: 5, per: lifetime, sliding: true }', 'remove sliding and time_zone'],
  ['{ usd: 5, per: day, sliding: often }', 'must be true or false'],
  ['{ usd: 5, per: day, when_exhausted: stop }', 'must be finish, cut or refuse'],
  ['{ usd: 5, per: day, warn: [0] }', 'must be a percentage above 0'],
  ['{ usd: 5, per: day, warn: [101] }', 'at most 100'],
  ['{ usd: 5, per: day, warn: 50 }', 'must be a list of percentages'],
  ['{ usd: 5, tokens: 5, per: day }', 'write one limit each'],
  ['{ per: day }', 'write one limit each'],
];

describe('in the file', () => {
  test.each(cases)('%s', (written, says) => {
    const text = `providers: { mock: }\nkeys:\n  - name: a\n    key: b\n    limits:\n      - ${written}\n`;
    const { config, mistakes } = readConfig(text, {});
    expect(config).toBeUndefined();
    expect(mistakes).toHaveLength(1);
    const told = formatMistakes('sluice.yaml', mistakes);
    expect(told).toContain(says);
    expect(told).toMatch(/\b6\b/);
  });
});

test('what is sent to the API', () => {
  for (const requests of [Number.NaN, Infinity, -0, 2 ** 60, true, {}, '0x'])
    expect([requests, limit.safeParse({ requests, per: 'day' }).success]).toEqual([requests, false]);
});

test.each([
  ['requests=-5/day', 'Write requests'],
  ['requests=0/day', 'must be a whole number'],
  [`requests=${'9'.repeat(400)}/day`, 'must be a whole number'],
  ['usd=0/day', 'must be an amount above 0'],
  ['usd=NaN/day', 'Write requests'],
  ['usd=5', 'needs a window'],
  ['usd=5/decade', 'must be second, minute'],
  ['concurrency=8/day', 'remove per'],
  ['usd=5/day,sliding,time_zone=Europe/Berlin', 'remove time_zone or sliding'],
  ['usd=5/day,time_zone=Mars', 'is no time zone'],
  ['usd=5/day,warn=0+101', 'must be a percentage above 0'],
  ['usd=5/day,per=month', 'per is said twice'],
  ['usd=5/day,usd=7', 'usd is said twice'],
  ['usd=5/day,sliding,sliding', 'sliding is said twice'],
  ['', 'Write requests'],
])('on the command line: %s', (text, says) => {
  expect(() => parseLimit(text)).toThrow(says);
});
