/** The registry and the names it is known by. */
import { expect, test } from 'bun:test';
import { clientDialectNames } from '../../src/core/chat.ts';
import { clientDialects } from '../../src/dialects/index.ts';

test('every language that clients may name is spoken, and no other', () => {
  expect(clientDialects.map(({ name }) => name).sort()).toEqual([...clientDialectNames].sort());
});
