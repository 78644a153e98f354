/** What belongs to a team is found by its name together with its organisation's: no other pair of names is the same. */
import { expect, test } from 'bun:test';
import type { Key } from '../../src/config/snapshot.ts';
import { ownerOf } from '../../src/gateway/names.ts';

const owner = (organisation: string, team: string) => ownerOf({ organisation, team } as Key);

test('teams of different organisations are different owners, whatever their names', () => {
  const pairs = [['a', 'b/c'], ['a/b', 'c'], ['a~1b', 'c'], ['a~b', 'c'], ['a~0b', 'c'], ['', 'a/b/c']] as const; // biome-ignore format: one list
  expect(new Set(pairs.map(([organisation, team]) => owner(organisation, team))).size).toBe(pairs.length);
  expect(owner('shop', 'web')).toBe('shop/web');
});
