/** `sluice organisations`, `teams` and `keys`, as typed: what they make, change and refuse, and what the audit log has of it. */
import { afterEach, describe, expect, spyOn, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { addKeysCommand } from '../../src/cli/keys.ts';
import { addTenantsCommands } from '../../src/cli/tenants.ts';
import { hashSecret } from '../../src/core/secret.ts';
import { findKey, listKeys } from '../../src/store/keys.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { findTenant } from '../../src/store/tenants.ts';
import { tempDir } from '../ledger/attempts.ts';

afterEach(() => {
  process.exitCode = 0;
});

async function sluice(...words: string[]): Promise<{ out: string; err: string; code: number }> {
  const program = new Command('sluice').exitOverride();
  addKeysCommand(program);
  addTenantsCommands(program);
  for (const command of program.commands.flatMap((one) => one.commands)) command.exitOverride();
  let [out, err, thrown] = ['', '', 0];
  const stdout = spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  const stderr = spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    thrown = (error as { exitCode: number }).exitCode;
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  const code = thrown || Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { out, err, code };
}

async function look<T>(dir: string, run: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(dir, 'sqlite');
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}

test('from organisation to key, changed and taken apart again', async () => {
  const dir = tempDir();
  const at = ['--data', dir];
  const done = async (...words: string[]) => {
    const ran = await sluice(...words, ...at);
    expect([ran.err, ran.code]).toEqual([ran.code === 0 ? ran.err : '', 0]);
    return ran.out;
  };
  await done('organisations', 'create', 'shop', '--limit', 'usd=100/month');
  await done('teams', 'create', 'web', '--organisation', 'shop', '--operations', 'chat,embeddings');
  const secret = (
    await done('keys', 'create', '--name', 'ci', '--team', 'web', '--addresses', '10.0.0.0/8')
  ).trim();
  await done('teams', 'update', 'web', '--end-user-limit', 'requests=5/day', '--disable');
  await done('keys', 'update', 'ci', '--document', '{"team":"web","disabled":true}');
  await look(dir, async ({ db }) => {
    expect((await findTenant(db, 'organisations', 'shop'))?.document).toEqual({
      limits: [{ usd: 100, per: 'month' }],
    });
    expect((await findTenant(db, 'teams', 'web'))?.document).toEqual({
      organisation: 'shop',
      operations: ['chat', 'embeddings'],
      end_users: { limits: [{ requests: 5, per: 'day' }] },
      disabled: true,
    });
    expect(await findKey(db, 'ci')).toMatchObject({
      hash: hashSecret(secret),
      document: { team: 'web', disabled: true },
    });
  });
  expect(await done('teams', 'list')).toMatch(/web +shop +all +none .* disabled\n$/);
  expect(await done('keys', 'list')).toMatch(/ci +key_\w+ +web .* disabled\n$/);
  expect(JSON.parse(await done('organisations', 'list', '--format', 'json'))).toMatchObject([
    { name: 'shop', limits: [{ usd: 100, per: 'month' }] },
  ]);

  await done('teams', 'update', 'web', '--enable', '--unset', 'end_users,operations');
  const renewed = (await done('keys', 'rotate', 'ci', '--grace', '2h')).trim();
  await look(dir, async ({ db }) => {
    expect((await findTenant(db, 'teams', 'web'))?.document).toEqual({ organisation: 'shop' });
    const key = (await findKey(db, 'ci'))!;
    expect([key.hash, key.previousHash]).toEqual([hashSecret(renewed), hashSecret(secret)]);
    expect(key.previousUntil! - key.updatedAt).toBe(7_200_000);
  });

  expect((await sluice('teams', 'remove', 'web', ...at)).err).toContain('has keys, such as "ci"');
  await done('keys', 'revoke', 'ci');
  await done('teams', 'remove', 'web');
  await done('organisations', 'remove', 'shop');
  await look(dir, async ({ db }) => {
    const lines = await db.selectFrom('audit').select(['actor', 'action', 'subject']).orderBy('id').execute();
    const { id } = (await listKeys(db))[0]!;
    expect(lines.map(({ actor, action, subject }) => `${actor} ${action} ${subject}`)).toEqual([
      'cli create organisation:shop',
      'cli create team:web',
      `cli create key:${id}`,
      'cli update team:web',
      `cli update key:${id}`,
      'cli update team:web',
      `cli rotate key:${id}`,
      `cli revoke key:${id}`,
      'cli delete team:web',
      'cli delete organisation:shop',
    ]);
    const all = JSON.stringify(await db.selectFrom('audit').selectAll().execute());
    for (const told of [secret, renewed, hashSecret(secret), hashSecret(renewed)])
      expect(all).not.toContain(told);
  });
});

describe('is refused, and nothing changes', () => {
  test.each([
    [['keys', 'create', '--name', 'a', '--team', 'nope'], 'There is no team "nope"'],
    [['keys', 'create', '--name', 'file'], 'belongs to the configuration file'],
    [['keys', 'create', '--name', ''], 'the name: is empty'],
    [['keys', 'create', '--name', 'x'.repeat(10_000)], 'the name: is too long'],
    [['keys', 'create', '--name', 'a', '--limit', 'usd=-5/day'], 'usd=5/day'],
    [['keys', 'create', '--name', 'a', '--limit', 'usd=1e9/day'], 'usd=5/day'],
    [['keys', 'create', '--name', 'a', '--operations', 'sing'], 'operations.0: must be one of chat'],
    [['keys', 'create', '--name', 'a', '--addresses', 'home'], 'addresses.0: must be an IP address'],
    [['keys', 'create', '--name', 'a', '--document', '[]'], 'Write an object'],
    [
      ['keys', 'create', '--name', 'a', '--document', '{"limit":[]}'],
      'limit: unknown member "limit"; did you mean "limits"?',
    ],
    [['keys', 'create', '--name', 'a', '--expires', '2001-01-01'], 'a time to come'],
    [['keys', 'update', "' or 1=1 --", '--disable'], 'There is no key'],
    [['keys', 'update', 'key_%', '--disable'], 'There is no key'],
    [['keys', 'update', 'made'], 'Say what to change'],
    [['teams', 'update', 'web'], 'Say what to change'],
    [['keys', 'rotate', 'file'], 'belongs to the configuration file'],
    [['keys', 'rotate', 'made', '--grace', 'soon'], 'a span of time'],
    [['keys', 'rotate', 'made', '--grace', '999999w'], 'a year at most'],
    [['teams', 'create', 'web'], 'belongs to the configuration file'],
    [['teams', 'create', 'a', '--organisation', 'nope'], 'There is no organisation "nope"'],
    [['teams', 'update', 'nope', '--disable'], 'There is no team "nope"'],
    [['organisations', 'remove', 'nope'], 'There is no organisation "nope"'],
    [['organisations', 'create', 'a', '--document', '{"team":"x"}'], 'team: unknown member "team"'],
  ])('%j', async (words, says) => {
    const dir = tempDir();
    const file = join(dir, 'sluice.yaml');
    writeFileSync(file, 'keys: [{ name: file, key: "${NOT_SET}" }]\nteams: { web: {} }\n');
    const at = ['--data', dir, '--config', file];
    await sluice('keys', 'create', '--name', 'made', '--team', 'web', ...at);
    const before = await look(dir, ({ db }) => listKeys(db));
    const refused = await sluice(...words, ...at);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain(says);
    expect(refused.out).toBe('');
    expect(await look(dir, ({ db }) => listKeys(db))).toEqual(before);
  });
});

test('models that nobody knows are warned of, and allowed', async () => {
  const dir = tempDir();
  const file = join(dir, 'sluice.yaml');
  writeFileSync(file, 'models: { fast: mock/echo }\nproviders: { mock: }\n');
  const models = 'fast,fsat,mock/echo,nope/x,openai/*';
  const { err, code } = await sluice(
    'keys',
    'create',
    '--name',
    'a',
    '--models',
    models,
    '--data',
    dir,
    '--config',
    file,
  );
  expect(code).toBe(0);
  expect(err).toContain('Warning: no model "fsat" is configured: did you mean "fast"?');
  expect(err).toContain('Warning: no provider "nope" is known');
  expect(err.match(/Warning/g)).toHaveLength(2);
});
