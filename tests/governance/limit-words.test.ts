import { expect, test } from 'bun:test';
import { windowOf } from '../../src/config/window.ts';
import { sayScore } from '../../src/core/explain.ts';
import { describe, sayWindow, spell } from '../../src/governance/limit-words.ts';

test.each([
  [1, '1 s'],
  [120, '120 s'],
  [121, '3 min'],
  [7200, '120 min'],
  [7201, '3 h'],
  [86_720, '25 h'],
  [172_801, '3 days'],
])('%i s are never said to be less', (seconds, says) => {
  expect(spell(seconds)).toBe(says);
});

test('one is one', () => {
  const window = windowOf('day', true);
  const limit = { unit: 'requests', max: 1, window, whenExhausted: 'cut', warn: [] } as const;
  expect(describe(limit)).toBe('1 request in any day');
  expect(describe({ ...limit, max: 2 })).toBe('2 requests in any day');
  expect(describe({ ...limit, unit: 'usd', max: 1_000_000_000 })).toBe('1 USD in any day');
});

test('windows have words of their own', () => {
  expect(sayWindow(undefined)).toBeNull();
  expect(sayWindow(windowOf('day'))).toBe('day');
  expect(sayWindow(windowOf('hour', true))).toBe('sliding hour');
  expect(sayWindow(windowOf('month', false, 'Europe/Berlin'))).toBe('month (Europe/Berlin)');
});

test('what a strategy thought is said in dollars where it is money', () => {
  expect(sayScore(1_600_000, 'nano-dollars')).toBe('0.0016 USD');
  expect(sayScore(12.34567, 'ms')).toBe('12.35 ms');
  expect(sayScore(3)).toBe('3');
});
