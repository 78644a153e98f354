/**
 * Recorded answers in every provider dialect, replayed behind the gateway: every client reads in them what the vendor's
 * own client reads in the recording itself.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Comparer } from '../conformance/compare.ts';
import { type Exception, exceptions, unreadable } from '../conformance/exceptions.ts';
import {
  clientNames,
  failsWithin,
  type Replayed,
  raiseStage,
  replayed,
  type Stage,
  unspoken,
} from '../conformance/replayed.ts';
import { haveRecordings } from '../recordings.ts';
import { forced, key } from './gateway.ts';

let stage: Stage;
let comparer: Comparer;
beforeAll(async () => {
  stage = await raiseStage(key);
  comparer = new Comparer(stage, forced);
});
afterAll(() => stage.stop());

const answers = replayed.filter((each) => each.recording.response.status < 400 && !failsWithin(each));
const named = answers.map((each) => [each.file, each] as const);

const needed = new Set<Exception>();

async function check(name: string, each: Replayed): Promise<void> {
  const client = stage.clients.find((one) => one.name === name)!;
  const comparison = await comparer.compare(client, each);
  if (comparison.exception !== undefined && comparison.needed) needed.add(comparison.exception);
  if (comparison.expected === 'throws') expect(comparison.heard).toBeInstanceOf(Error);
  else expect(comparison.heard).toEqual(comparison.expected);
}

describe.skipIf(!haveRecordings)('recorded answers', () => {
  describe.each(clientNames)('are the same to %s', (name) => {
    test.each(named)('%s', (_, each) => check(name, each));
  });

  test.each(unreadable.map((each) => [each.why, each] as const))(
    "are not to the vendor's own client where %s",
    async (_, { file, said }) => {
      const each = answers.find((one) => file.test(one.file))!;
      expect(await comparer.witness(each).catch(() => undefined)).not.toEqual(said);
    },
  );

  test('need every exception that is made', () => {
    const mine = exceptions.filter(({ when }) => !forced || when !== 'relayed');
    expect(mine.filter((each) => !needed.has(each)).map(({ file }) => file)).toEqual([]);
  });

  test('are all of those in languages that are spoken', () => {
    expect(new Set(unspoken.map(({ dialect }) => dialect))).toEqual(new Set(['bedrock-invoke', 'cohere-v1']));
  });
});
