/** The admin API by itself: whose fault a failure is, and who hears of it. */
import { expect, test } from 'bun:test';
import { createAdmin } from '../../src/admin/admin.ts';
import type { AdminPowers } from '../../src/admin/powers.ts';
import { GatewayError } from '../../src/core/error.ts';
import { openStore } from '../../src/store/open.ts';
import { questionsOn } from '../../src/store/questions.ts';
import { createFirstToken } from '../../src/store/tokens.ts';
import { tempDir } from '../ledger/attempts.ts';

const { db } = await openStore(tempDir(), 'sqlite');
const token = await createFirstToken(db);

/** The answer to `body`, and what alarms were raised, of an API whose every power does `act`. */
async function ask(body: string, act: () => never) {
  const alarms: unknown[][] = [];
  const powers: AdminPowers = {
    store: async () => db,
    questions: questionsOn(async () => db),
    version: '1',
    explain: act,
    health: act,
    secret: undefined,
    snapshot: act,
    keyNamed: act,
    keyOf: act,
    limits: act,
    file: act,
    alarm: (...told) => alarms.push(told),
  };
  const response = await createAdmin(powers)(
    new Request('http://gateway/admin/v1/explain', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    }),
  );
  return { status: response.status, text: await response.text(), alarms };
}

const question = JSON.stringify({ model: 'm' });

test.each([new SyntaxError('JSON Parse error: Unexpected EOF'), new TypeError('undefined is not an object')])(
  "a fault of the gateway's own is told to the operator, not to the caller: $name",
  async (fault) => {
    const { status, text, alarms } = await ask(question, () => {
      throw fault;
    });
    expect(status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'internal' } });
    expect(text).not.toContain(fault.message);
    expect(alarms).toEqual([['internal', { path: '/admin/v1/explain', error: fault }]]);
  },
);

test('so is one that was caught on its way', async () => {
  const cause = new TypeError('undefined is not an object');
  const { status, alarms } = await ask(question, () => {
    throw new GatewayError('internal', 'Something went wrong.', { cause });
  });
  expect(status).toBe(500);
  expect(alarms).toEqual([['internal', { path: '/admin/v1/explain', error: cause }]]);
});

test('what the caller got wrong raises no alarm', async () => {
  const refuse = (): never => {
    throw new GatewayError('not_found', 'There is no key named "JSON".');
  };
  expect(await ask(question, refuse)).toMatchObject({ status: 404, alarms: [] });
  expect(await ask('{', refuse)).toMatchObject({ status: 400, alarms: [] });
  expect(await ask('{}', refuse)).toMatchObject({ status: 400, alarms: [] });
});
