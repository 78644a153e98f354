/** What providers keep, as the store notes it: whose it is, in what order, and what has become of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { KeptObject, ObjectPage, Objects } from '../../src/core/objects.ts';
import { openObjects } from '../../src/store/objects.ts';
import { noon } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const object = (id: string, more: Partial<KeptObject> = {}): KeptObject => ({
  id,
  provider: 'acme',
  kind: 'file',
  surface: 'openai',
  owner: 'shop/web',
  keyMark: { id: 'acme#1', digest: 'd1' },
  maker: {
    call: 'call1',
    keyId: 'key_test',
    key: 'test',
    team: 'web',
    organisation: 'shop',
    tags: 'a=b',
    session: '',
    endUser: '',
  },
  createdAt: noon,
  expiresAt: undefined,
  document: undefined,
  final: false,
  charged: false,
  ...more,
});

const page = (owner: string, more: Partial<ObjectPage> = {}): ObjectPage => ({
  owner,
  surface: 'openai',
  kind: 'file',
  provider: undefined,
  after: undefined,
  before: undefined,
  ascending: false,
  limit: 10,
  ...more,
});

describe.each(stores)('on $name', ({ newDir }) => {
  let objects: Objects;
  let dir = '';
  beforeAll(async () => {
    dir = await newDir();
    objects = openObjects(dir, storeUrl(dir));
  });
  afterAll(() => objects.close());

  const ids = async (asked: ObjectPage): Promise<string[] | undefined> =>
    (await objects.list(asked))?.map(({ id }) => id);

  describe('an object', () => {
    test('is there as it was noted, after a restart too', async () => {
      expect(await objects.any()).toBeFalse();
      const kept = object('one', { document: '{"filename":"Zoë"}', expiresAt: noon + 1, final: true });
      await objects.note(kept);
      expect(await objects.any()).toBeTrue();
      await objects.close();
      objects = openObjects(dir, storeUrl(dir));
      expect(await objects.find(['one', 'none'])).toEqual([kept]);
    });

    test('stays as it was noted first: nobody takes it over', async () => {
      await objects.note(object('two'));
      await objects.note(object('two', { owner: 'shop/other' }));
      expect((await objects.find(['two'])).map(({ owner }) => owner)).toEqual(['shop/web']);
    });

    test('of the same id at another provider is another one', async () => {
      await objects.note(object('three'));
      await objects.note(object('three', { provider: 'other', owner: 'shop/other' }));
      expect(await objects.find(['three'])).toHaveLength(2);
      await objects.remove(object('three'));
      expect((await objects.find(['three'])).map(({ provider }) => provider)).toEqual(['other']);
    });

    test('says what its provider says now', async () => {
      const batch = object('four', { kind: 'batch' });
      await objects.note(batch);
      await objects.update({ ...batch, document: '{}', final: true });
      expect((await objects.uncharged()).map(({ id }) => id)).toEqual(['four']);
      await objects.update({ ...batch, document: '{}', final: true, charged: true });
      expect(await objects.uncharged()).toEqual([]);
      expect(await objects.find(['four'])).toEqual([
        { ...batch, document: '{}', final: true, charged: true },
      ]);
    });
  });

  describe('a list', () => {
    const owner = 'shop/lister';
    beforeAll(async () => {
      // Two of the same moment: their ids decide.
      for (const [id, at] of [
        ['a', 0],
        ['b', 1],
        ['c', 1],
        ['d', 2],
        ['e', 3],
      ] as const) {
        await objects.note(object(id, { owner, createdAt: noon + at }));
      }
      await objects.note(object('elsewhere', { owner, provider: 'other' }));
      await objects.note(object('claude', { owner, surface: 'anthropic' }));
      await objects.note(object('batch', { owner, kind: 'batch' }));
      await objects.note(object('gone', { owner, expiresAt: Date.now() - 1 }));
    });

    test('has what is the owner’s, of one surface and kind, the newest first', async () => {
      expect(await ids(page(owner))).toEqual(['e', 'd', 'c', 'b', 'elsewhere', 'a']);
      expect(await ids(page(owner, { ascending: true, provider: 'acme' }))).toEqual([
        'a',
        'b',
        'c',
        'd',
        'e',
      ]);
      expect(await ids(page('shop/nobody'))).toEqual([]);
    });

    test('goes on in both directions, also from what is not there any more', async () => {
      const acme = { provider: 'acme', limit: 2 };
      expect(await ids(page(owner, { ...acme, after: 'd' }))).toEqual(['c', 'b']);
      expect(await ids(page(owner, { ...acme, before: 'b' }))).toEqual(['d', 'c']);
      expect(await ids(page(owner, { ...acme, ascending: true, after: 'b' }))).toEqual(['c', 'd']);
      await objects.remove(object('d', { owner }));
      expect(await ids(page(owner, { ...acme, after: 'd' }))).toEqual(['c', 'b']);
      expect(await ids(page(owner, { ...acme }))).toEqual(['e', 'c']);
    });

    test('goes on from nothing that is unknown, or somebody else’s', async () => {
      expect(await ids(page(owner, { after: 'nothing' }))).toBeUndefined();
      expect(await ids(page('shop/web', { after: 'a' }))).toBeUndefined();
    });
  });
});
