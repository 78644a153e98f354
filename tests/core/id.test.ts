/** Ids of calls as bytes. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { newCallId, packCallId, unpackCallId } from '../../src/core/id.ts';

test('an id of ours takes 13 bytes, and comes back as it was', () => {
  const ids = Array.from({ length: 2000 }, newCallId);
  for (const id of ids) {
    expect(packCallId(id)).toHaveLength(13);
    expect(unpackCallId(packCallId(id))).toBe(id);
  }
  const packed = ids.map(packCallId);
  for (let i = 1; i < packed.length; i++) expect(Buffer.compare(packed[i - 1]!, packed[i]!)).toBe(-1);
});

test('any other text comes back too, and no two are the same', () => {
  const almost = fc.stringMatching(/^[0-9a-zA-Z]{21,23}$/);
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    almost,
    fc.constantFrom('', 'c1', 'zzzzzzzzzzzz0123456789'),
  );
  fc.assert(
    fc.property(text, (id) => {
      expect(unpackCallId(new Uint8Array(packCallId(id)))).toBe(id);
    }),
  );
  fc.assert(fc.property(text, text, (a, b) => packCallId(a).equals(packCallId(b)) === (a === b)));
});
