/** Kept answers: found by their owner only, for as long as they are kept. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Answers, KeptAnswer } from '../../src/core/answers.ts';
import { openAnswers } from '../../src/store/answers.ts';
import { noon } from '../ledger/attempts.ts';
import { storeUrl } from '../store-url.ts';
import { stores } from '../stores.ts';

const open = (dir: string) => openAnswers(dir, storeUrl(dir));

const answer = (id: string, more: Partial<KeptAnswer> = {}): KeptAnswer => ({
  id,
  owner: 'shop/web',
  previous: undefined,
  createdAt: noon,
  request: '{"input":"Hello"}',
  response: '{"output":[]}',
  ...more,
});

describe.each(stores)('on $name', ({ newDir }) => {
  let answers: Answers;
  beforeAll(async () => {
    answers = open(await newDir());
  });
  afterAll(() => answers.close());

  test('an answer comes back as it was kept', async () => {
    const kept = answer('one', { previous: 'zero', request: '{"input":"Zoë 🚰"}' });
    await answers.keep(kept);
    expect(await answers.find('shop/web', 'one')).toEqual(kept);
  });

  test('nobody else finds or removes it', async () => {
    await answers.keep(answer('two'));
    expect(await answers.find('shop/other', 'two')).toBeUndefined();
    expect(await answers.remove('shop/other', 'two')).toBeFalse();
    expect(await answers.find('shop/web', "two' OR '1'='1")).toBeUndefined();
    expect(await answers.find('shop/web', 'two')).toBeDefined();
  });

  test('one that was removed is gone', async () => {
    await answers.keep(answer('three'));
    expect(await answers.remove('shop/web', 'three')).toBeTrue();
    expect(await answers.find('shop/web', 'three')).toBeUndefined();
    expect(await answers.remove('shop/web', 'three')).toBeFalse();
  });

  test('the same id twice keeps the first', async () => {
    await answers.keep(answer('four', { response: '1' }));
    await answers.keep(answer('four', { owner: 'shop/other', response: '2' }));
    expect(await answers.find('shop/web', 'four')).toMatchObject({ response: '1' });
  });

  test('many at once are all kept, and there when the store is closed', async () => {
    const dir = await newDir();
    const another = open(dir);
    const many = Array.from({ length: 40 }, (_, i) => answer(`many${i}`, { response: `${i}` }));
    const keeping = [...many, answer('many7', { response: 'again' })].map((each) => another.keep(each));
    await another.close();
    await Promise.all(keeping);
    const reopened = open(dir);
    for (const each of many) expect(await reopened.find('shop/web', each.id)).toEqual(each);
    await reopened.close();
  });

  test('one that is removed before it is written is not kept', async () => {
    const keeping = answers.keep(answer('brief'));
    expect(await answers.remove('shop/web', 'brief')).toBeTrue();
    await keeping;
    expect(await answers.find('shop/web', 'brief')).toBeUndefined();
  });

  test('after thirty days it is forgotten', async () => {
    const another = open(await newDir());
    await another.keep(answer('old'));
    for (const id of ['new1', 'new2']) await another.keep(answer(id, { createdAt: noon + 31 * 86_400_000 }));
    expect(await another.find('shop/web', 'old')).toBeUndefined();
    expect(await another.find('shop/web', 'new1')).toBeDefined();
    await another.close();
  });
});
