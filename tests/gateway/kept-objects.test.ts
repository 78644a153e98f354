/** The key that something was made with, found again when the configuration has changed. */
import { describe, expect, test } from 'bun:test';
import type { ProviderKey } from '../../src/config/snapshot.ts';
import { keyMarked, markOf } from '../../src/gateway/objects/kept-objects.ts';
import { makeProvider } from '../routing/targets.ts';

const keyOf = (place: number, secret: string): ProviderKey => ({
  id: `acme#${place}`,
  header: ['authorization', `Bearer ${secret}`],
});
const provider = (...secrets: string[]) => ({
  ...makeProvider('acme'),
  keys: secrets.map((secret, i) => keyOf(i + 1, secret)),
});

describe('the key that something was made with', () => {
  const mark = markOf(keyOf(2, 'two'));

  test('is known by its secret, wherever it stands', () => {
    expect(keyMarked(provider('two', 'one', 'three'), mark)?.id).toBe('acme#1');
  });

  test('is the one in its place where its secret was exchanged', () => {
    expect(keyMarked(provider('one', 'new', 'three'), mark)?.id).toBe('acme#2');
  });

  test('is missed where neither is there', () => {
    expect(() => keyMarked(provider('one'), mark)).toThrow('acme#2');
  });

  test('is none where none is needed, and is not told by its mark', () => {
    const open = makeProvider('acme');
    expect(keyMarked(open, markOf(open.keys[0]))).toBe(open.keys[0]!);
    expect(JSON.stringify(mark)).not.toContain('two');
  });
});
