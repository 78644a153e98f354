/** A law that is tried on nothing holds: there is something to try them on. */
import { describe, expect, test } from 'bun:test';
import { dialects } from '../../src/dialects/index.ts';
import { pairs, requests, untried } from './samples.ts';

describe('what the laws are tried on', () => {
  for (const dialect of dialects.values()) {
    test(`has requests of ${dialect.name}, and answers told whole and in pieces`, () => {
      expect(requests.filter((sample) => sample.dialect === dialect && sample.fixture)).not.toBeEmpty();
      expect(pairs.filter(({ stream }) => stream.dialect === dialect)).not.toBeEmpty();
    });
  }

  for (const [language, times] of untried) {
    test.skip(`lacks ${times} recordings in ${language}, which nobody speaks here`, () => {});
  }
});
