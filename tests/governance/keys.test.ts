/** Which secrets open the door, and to which models. */
import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { compileKey } from '../../src/config/compile-tenants.ts';
import type { Key, Snapshot } from '../../src/config/snapshot.ts';
import { keySchema } from '../../src/config/tenant-schema.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { StoredKey, StoredTenant, TenantsChange } from '../../src/core/tenants.ts';
import { authorise } from '../../src/governance/allow.ts';
import { createMemoryCounters } from '../../src/governance/counters-memory.ts';
import { createKeyring, extractSecret } from '../../src/governance/keys.ts';
import type { Lease } from '../../src/governance/leases.ts';
import { createLimiter } from '../../src/governance/limits.ts';

const now = Date.UTC(2026, 0, 15);

function makeKey(more: Partial<Key> = {}): Key {
  return {
    id: 'k1',
    name: 'ci',
    team: '',
    organisation: '',
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

function snapshotWith(keys: [secret: string, key: Key][]): Snapshot {
  return {
    keys: new Map(keys.map(([secret, key]) => [sha256(secret), key])),
    teams: new Map(),
    organisations: new Map(),
  } as Partial<Snapshot> as Snapshot;
}

function ringWith(secret: string, key: Key) {
  return createKeyring(snapshotWith([[secret, key]]));
}

let revision = 0;

/** What the store says of one key. */
function storedKey(secret: string, more: Partial<StoredKey> = {}): StoredKey {
  return {
    id: `key_${secret}`,
    name: secret,
    hash: sha256(secret),
    team: 'default',
    document: {},
    revision: ++revision,
    previousHash: undefined,
    previousUntil: undefined,
    createdAt: 0,
    updatedAt: 0,
    revokedAt: undefined,
    ...more,
  };
}

function changeOf(change: Partial<TenantsChange>): TenantsChange {
  return { revision: ++revision, organisations: [], teams: [], keys: [], ...change };
}

function storedTenant(name: string, document: StoredTenant['document'] = {}): StoredTenant {
  return { name, document, revision: ++revision, createdAt: 0, updatedAt: 0 };
}

describe('authenticate', () => {
  test('finds keys of the configuration and of the store', () => {
    const ring = ringWith('one', makeKey({ id: 'config' }));
    ring.change(changeOf({ keys: [storedKey('two')] }));
    expect(ring.authenticate('one', now).id).toBe('config');
    expect(ring.authenticate('two', now).id).toBe('key_two');
    expect(ring.named('two')?.id).toBe('key_two');
    expect(ring.find('key_two')?.name).toBe('two');
  });

  test('each source replaces its own keys and leaves the others', () => {
    const ring = ringWith('one', makeKey({ id: 'config' }));
    ring.change(changeOf({ keys: [storedKey('two'), storedKey('three')] }));
    ring.adopt(snapshotWith([]));
    expect(thrownBy(() => ring.authenticate('one', now)).kind).toBe('unauthorized');
    expect(ring.authenticate('two', now).id).toBe('key_two');
    ring.change(changeOf({ keys: [storedKey('two', { revokedAt: now })] }));
    expect(thrownBy(() => ring.authenticate('two', now)).message).toContain('"two" was revoked');
    expect(ring.authenticate('three', now).id).toBe('key_three');
  });

  test('a secret that was replaced works until its time is over', () => {
    const ring = ringWith('one', makeKey());
    ring.change(changeOf({ keys: [storedKey('old')] }));
    const renewed = { id: 'key_old', name: 'job', previousHash: sha256('old'), previousUntil: now + 1000 };
    ring.change(changeOf({ keys: [storedKey('new', renewed)] }));
    expect(ring.authenticate('new', now).id).toBe('key_old');
    expect(ring.authenticate('old', now + 999)).toBe(ring.authenticate('new', now));
    const late = thrownBy(() => ring.authenticate('old', now + 1000));
    expect(late.kind).toBe('unauthorized');
    expect(late.message).toBe(
      'This secret of the API key "job" was replaced and ended at 2026-01-15T00:00:01.000Z. Use its new one.',
    );
    // Replaced once more, the first is good for nothing.
    const again = { ...renewed, previousHash: sha256('new') };
    ring.change(changeOf({ keys: [storedKey('newest', again)] }));
    expect(thrownBy(() => ring.authenticate('old', now)).message).toContain('is not known here');
    expect(ring.authenticate('new', now).id).toBe('key_old');
  });

  test('a team or organisation that is switched off switches its keys off, and on again', () => {
    const ring = ringWith('one', makeKey());
    const key = storedKey('two', { team: 'web', document: { team: 'web' } });
    const team = storedTenant('web', { organisation: 'shop' });
    ring.change(changeOf({ keys: [key], teams: [team], organisations: [storedTenant('shop')] }));
    expect(ring.authenticate('two', now)).toMatchObject({ team: 'web', organisation: 'shop' });
    for (const off of [
      {
        teams: [storedTenant('web', { organisation: 'shop', disabled: true })],
        organisations: [storedTenant('shop')],
      },
      { teams: [team], organisations: [storedTenant('shop', { disabled: true })] },
    ]) {
      ring.change(changeOf(off));
      const error = thrownBy(() => ring.authenticate('two', now));
      expect(error.kind).toBe('forbidden');
      expect(error.message).toMatch(
        /The (team "web"|organisation "shop") of the API key "two" is switched off/,
      );
    }
    ring.change(changeOf({ teams: [team], organisations: [storedTenant('shop')] }));
    expect(ring.authenticate('two', now).team).toBe('web');
  });

  test('what nobody understands is off, and told of', () => {
    const told: unknown[] = [];
    const ring = createKeyring(snapshotWith([]), (_, fields) => told.push(fields));
    ring.change(changeOf({ keys: [storedKey('two', { document: { limits: [{ usd: -5, per: 'day' }] } })] }));
    expect(thrownBy(() => ring.authenticate('two', now)).kind).toBe('unauthorized');
    expect(told).toMatchObject([{ owner: 'key', name: 'two' }]);
  });

  test('a key whose team is gone goes on, and is told of', () => {
    const told: unknown[] = [];
    const ring = createKeyring(snapshotWith([]), (_, fields) => told.push(fields));
    ring.change(changeOf({ keys: [storedKey('two', { document: { team: 'gone' } })] }));
    expect(ring.authenticate('two', now)).toMatchObject({ team: 'gone', organisation: 'default' });
    ring.authenticate('two', now);
    expect(told).toEqual([{ key: 'two', team: 'gone' }]);
  });

  test('teams and organisations of the configuration win over those of the store', () => {
    const ring = createKeyring(snapshotWith([]));
    const stored = changeOf({ teams: [storedTenant('web', { organisation: 'other' }), storedTenant('ops')] });
    expect([...ring.change(stored).teams.keys()]).toEqual(['web', 'ops']);
    const web = { name: 'web', organisation: 'shop', limits: [] };
    const snapshot = ring.adopt({ ...snapshotWith([]), teams: new Map([['web', web]]) });
    expect(snapshot.teams.get('web')).toBe(web);
    expect(snapshot.teams.get('ops')?.organisation).toBe('default');
    ring.change(changeOf({ ...stored, keys: [storedKey('two', { document: { team: 'web' } })] }));
    expect(ring.authenticate('two', now).organisation).toBe('shop');
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

/** As it is compiled from what is written. */
function keyWith(models: string[] | undefined): Key {
  return compileKey({ id: 'k1', name: 'ci' }, keySchema.parse({ models }), { teams: new Map() });
}

describe('authorise', () => {
  const allowed = (models: string[] | undefined, model: string): boolean => {
    try {
      authorise(keyWith(models), model);
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
    [['*'], 'anything', true],
  ] as [string[] | undefined, string, boolean][])('%j lets through %s: %p', (models, model, expected) => {
    expect(allowed(models, model)).toBe(expected);
  });

  test('the refusal names ten models at most', () => {
    const models = Array.from({ length: 12 }, (_, i) => `model-${i}`);
    const error = thrownBy(() => authorise(keyWith(models), 'other'));
    expect(error.kind).toBe('forbidden');
    expect(error.message).toContain('model-0, model-1');
    expect(error.message).toContain('model-9 and 2 more');
    expect(error.message).not.toContain('model-10');
  });
});

describe('end users', () => {
  test('a key knows who limits them, and forgets those of long ago when there are too many', () => {
    const key = compileKey(
      { id: 'k1', name: 'ci' },
      keySchema.parse({ end_users: { limits: [{ requests: 1, per: 'day' }] } }),
      { teams: new Map() },
    );
    const counters = createMemoryCounters(100);
    const limiter = createLimiter(counters);
    const owners = { teams: new Map() };
    const call = (endUser: string, at: number) =>
      (
        limiter.reserve(limiter.limitsOf(owners, key, endUser), { tokens: 0, nanoUsd: 0 }, at) as Lease
      ).settle({ tokens: 0, nanoUsd: 0 }, at);
    call('ann', now);
    expect(() => call('ann', now)).toThrow('The end user "ann" is limited to 1 request per day');
    for (let i = 0; i < 5000; i++) call(`flood-${i}`, now);
    expect(counters.size).toBeLessThanOrEqual(201);
    expect(limiter.limitsOf(owners, key, 'bob')).toBe(limiter.limitsOf(owners, key, 'bob'));
    expect(limiter.limitsOf(owners, key, 'bob')).not.toBe(limiter.limitsOf(owners, key, 'eve'));
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
