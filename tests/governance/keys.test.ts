/** Which secrets open the door, and to which models. */
import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import type { Key } from '../../src/config/snapshot.ts';
import { GatewayError } from '../../src/core/error.ts';
import { authorise, createKeyring, extractSecret } from '../../src/governance/keys.ts';

const now = Date.UTC(2026, 0, 15);

function makeKey(more: Partial<Key> = {}): Key {
  return {
    id: 'k1',
    name: 'ci',
    team: '',
    organisation: '',
    models: undefined,
    limits: [],
    expiresAt: undefined,
    disabled: false,
    ...more,
  };
}

const sha256 = (secret: string) => createHash('sha256').update(secret).digest('hex');

function thrownBy(act: () => unknown): GatewayError {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function ringWith(secret: string, key: Key) {
  const ring = createKeyring();
  ring.setSnapshot({ keys: new Map([[sha256(secret), key]]) });
  return ring;
}

describe('authenticate', () => {
  test('finds keys of the configuration and of the store', () => {
    const ring = ringWith('one', makeKey({ id: 'config' }));
    ring.setStoreKeys([{ hash: sha256('two'), key: makeKey({ id: 'store' }) }]);
    expect(ring.authenticate('one', now).id).toBe('config');
    expect(ring.authenticate('two', now).id).toBe('store');
  });

  test('each source replaces its own keys and leaves the others', () => {
    const ring = ringWith('one', makeKey({ id: 'config' }));
    ring.setStoreKeys([{ hash: sha256('two'), key: makeKey({ id: 'store' }) }]);
    ring.setSnapshot({ keys: new Map() });
    expect(thrownBy(() => ring.authenticate('one', now)).kind).toBe('unauthorized');
    expect(ring.authenticate('two', now).id).toBe('store');
    ring.setStoreKeys([]);
    expect(thrownBy(() => ring.authenticate('two', now)).kind).toBe('unauthorized');
  });

  test('a missing secret is told where to put it', () => {
    const ring = ringWith('one', makeKey());
    for (const secret of [undefined, '']) {
      const error = thrownBy(() => ring.authenticate(secret, now));
      expect(error.kind).toBe('unauthorized');
      for (const place of ['Authorization: Bearer', 'x-api-key', 'x-goog-api-key', '?key=']) {
        expect(error.message).toContain(place);
      }
    }
  });

  test('the hash of a secret is not a secret, and no message repeats what was sent', () => {
    const error = thrownBy(() => ringWith('one', makeKey()).authenticate(sha256('one'), now));
    expect(error.kind).toBe('unauthorized');
    expect(error.message).not.toContain(sha256('one'));
  });

  test('disabled keys are refused, by name', () => {
    const error = thrownBy(() => ringWith('one', makeKey({ disabled: true })).authenticate('one', now));
    expect(error.kind).toBe('unauthorized');
    expect(error.message).toContain('"ci" was revoked or switched off');
  });

  test('a key works until the moment it expires', () => {
    const ring = ringWith('one', makeKey({ expiresAt: now }));
    expect(ring.authenticate('one', now - 1).name).toBe('ci');
    const error = thrownBy(() => ring.authenticate('one', now));
    expect(error.kind).toBe('unauthorized');
    expect(error.message).toContain('expired at 2026-01-15T00:00:00.000Z');
  });
});

describe('authorise', () => {
  const allowed = (models: string[] | undefined, model: string): boolean => {
    try {
      authorise(makeKey({ models }), model);
      return true;
    } catch {
      return false;
    }
  };

  test.each([
    [undefined, 'anything', true],
    [[], 'anything', false],
    [['fast'], 'fast', true],
    [['fast'], 'faster', false],
    [['fast'], 'openai/fast', false],
    [['openai/*'], 'openai/gpt-5', true],
    [['openai/*'], 'openai', false],
    [['gpt-*-mini'], 'gpt-5-mini', false],
    [['*'], 'anything', true],
  ] as [string[] | undefined, string, boolean][])('%j lets through %s: %p', (models, model, expected) => {
    expect(allowed(models, model)).toBe(expected);
  });

  test('the refusal names ten models at most', () => {
    const models = Array.from({ length: 12 }, (_, i) => `model-${i}`);
    const error = thrownBy(() => authorise(makeKey({ models }), 'other'));
    expect(error.kind).toBe('forbidden');
    expect(error.message).toContain('model-0, model-1');
    expect(error.message).toContain('model-9 and 2 more');
    expect(error.message).not.toContain('model-10');
  });
});

describe('extractSecret', () => {
  const url = 'http://localhost:4000/v1/chat/completions';
  test.each([
    ['Authorization: Bearer', { authorization: 'Bearer a' }, url, 'a'],
    ['the scheme in any case', { authorization: 'bearer   a' }, url, 'a'],
    ['x-api-key', { 'x-api-key': 'b' }, url, 'b'],
    ['x-goog-api-key', { 'x-goog-api-key': 'c' }, url, 'c'],
    ['?key=', {}, `${url}?alt=sse&key=d%2Be`, 'd+e'],
    ['nowhere', {}, `${url}?monkey=d`, undefined],
    ['another scheme', { authorization: 'Basic a' }, url, undefined],
    ['another scheme, and a key', { authorization: 'Basic a', 'x-api-key': 'b' }, url, 'b'],
    ['an empty bearer, and a key', { authorization: 'Bearer ', 'x-api-key': 'b' }, url, 'b'],
    ['empty everywhere', { authorization: 'Bearer', 'x-api-key': '' }, `${url}?key=`, undefined],
  ] as [string, Record<string, string>, string, string | undefined][])('%s', (_, headers, at, expected) => {
    const secret = extractSecret(new Headers(headers), at);

    expect(secret).toBe(expected);
  });

  test('takes the first of several, in that order', () => {
    const headers = new Headers({ authorization: 'Bearer a', 'x-api-key': 'b', 'x-goog-api-key': 'c' });
    const found: (string | undefined)[] = [];
    for (const name of ['authorization', 'x-api-key', 'x-goog-api-key']) {
      found.push(extractSecret(headers, `${url}?key=d`));
      headers.delete(name);
    }
    found.push(extractSecret(headers, `${url}?key=d`));
    expect(found).toEqual(['a', 'b', 'c', 'd']);
  });
});
