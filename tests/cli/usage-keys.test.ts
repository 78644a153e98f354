/** `sluice usage` and `sluice keys`, as typed. */
import { afterEach, describe, expect, spyOn, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { addKeysCommand } from '../../src/cli/keys.ts';
import { formatLimit, parseLimit } from '../../src/cli/limit.ts';
import { readMoment } from '../../src/cli/moment.ts';
import { addTenantsCommands } from '../../src/cli/tenants.ts';
import { addUsageCommand, formatUsage } from '../../src/cli/usage.ts';
import { hashSecret } from '../../src/core/secret.ts';
import { openJournal } from '../../src/ledger/journal.ts';
import { listKeys } from '../../src/store/keys.ts';
import { openStore } from '../../src/store/open.ts';
import { findToken } from '../../src/store/tokens.ts';
import { applyAll, dispatch, settle, tempDir } from '../ledger/attempts.ts';
import { postgres } from '../servers.ts';

afterEach(() => {
  process.exitCode = 0;
});

/** Runs `sluice …` here; its exit code is left in process.exitCode or thrown by commander. */
async function sluice(...words: string[]): Promise<{ out: string; err: string; code: number }> {
  const program = new Command('sluice').exitOverride();
  addUsageCommand(program);
  addKeysCommand(program);
  addTenantsCommands(program);
  for (const command of [...program.commands, ...program.commands.flatMap((one) => one.commands)])
    command.exitOverride();
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

async function spentDir(): Promise<string> {
  const dir = tempDir();
  const journal = openJournal(dir);
  const one = dispatch('c1', { model: 'fast', tags: 'app=chat' });
  const odd = dispatch('c2', { model: '=odd, "one"', target: 'acme/odd' });
  journal.settled(
    one,
    settle(one, { nanoUsd: 1_250_000_000 }, { input: 12_345, cacheRead: 345, output: 678 }),
  );
  journal.settled(odd, settle(odd, { nanoUsd: undefined }, { input: 4 }));
  journal.close();
  return dir;
}

describe('usage', () => {
  test('as JSON: what a journal holds counts, also when no gateway has applied it', async () => {
    const { out, code } = await sluice('usage', '--format', 'json', '--data', await spentDir());
    expect(code).toBe(0);
    const zero = { unpriced: 0, estimated: 0, cached_tokens: 0, output_tokens: 0 };
    expect(JSON.parse(out)).toEqual([
      {
        ...zero,
        model: 'fast',
        calls: 1,
        attempts: 1,
        input_tokens: 12_345,
        cached_tokens: 345,
        output_tokens: 678,
        usd: '1.25',
        sell_usd: '1.25',
      },
      {
        ...zero,
        model: '=odd, "one"',
        calls: 1,
        attempts: 1,
        unpriced: 1,
        input_tokens: 4,
        usd: '0',
        sell_usd: '0',
      },
    ]);
  });

  test('as CSV', async () => {
    const { out } = await sluice('usage', '--format', 'csv', '--data', await spentDir());
    expect(out.split('\r\n')).toEqual([
      'model,calls,attempts,unpriced,estimated,input_tokens,cached_tokens,output_tokens,usd,sell_usd',
      'fast,1,1,0,0,12345,345,678,1.25,1.25',
      '"\'=odd, ""one""",1,1,1,0,4,0,0,0,0',
      '',
    ]);
  });

  test('as a table, with totals, and what to do about the unpriced', async () => {
    const { out } = await sluice('usage', '--data', await spentDir());
    const lines = out.split('\n');
    expect(lines[0]).toBe(
      'model        calls  attempts  unpriced  estimated  input tokens  cached tokens  output tokens   usd',
    );
    expect(lines[2]).toBe(
      'fast             1         1         0          0        12,345            345            678  1.25',
    );
    expect(lines[3]).toStartWith('=odd, "one"      1');
    expect(lines[5]).toMatch(/^total +2 +2 +1 +0 +12,349 +345 +678 +1\.25$/);
    expect(out).toContain('prices: { provider/model:');
  });

  test('while a gateway runs, what it has applied is shown and nothing is touched', async () => {
    const dir = await spentDir();
    await applyAll(dir);
    const gateway = openJournal(dir);
    gateway.dispatched(dispatch('running'));
    const { out } = await sluice('usage', '--by', 'team', '--format', 'json', '--data', dir);
    expect(JSON.parse(out)).toMatchObject([{ team: 'web', calls: 2, usd: '1.25' }]);
    gateway.close();
  });

  test('says in one line when there is nothing, or the question is wrong', async () => {
    const dir = tempDir();
    expect(await sluice('usage', '--data', dir)).toMatchObject({
      out: '',
      err: expect.stringMatching(/^Nothing is recorded in [^\n]+\n$/),
      code: 1,
    });
    expect((await sluice('usage', '--by', 'colour', '--data', dir)).code).not.toBe(0);
    expect((await sluice('usage', '--since', 'yesterday', '--data', dir)).err).toContain('7d, 24h, 90m');
  });

  test('takes the data directory from a configuration file, whatever else that needs', async () => {
    const dir = await spentDir();
    const file = join(tempDir(), 'sluice.yaml');
    writeFileSync(file, `data: ${dir}\nproviders: { openai: { key: "\${NOT_SET_IN_THIS_SHELL}" } }\n`);
    const { out } = await sluice('usage', '--by', 'tag', '--format', 'json', '--config', file);
    expect(JSON.parse(out)).toMatchObject([{ tag: 'app=chat', calls: 1 }]);
  });

  test('names from clients cannot steer the terminal', () => {
    const sums = {
      calls: 1,
      attempts: 1,
      unpriced: 0,
      estimated: 0,
      input_tokens: 0,
      cached_tokens: 0,
      output_tokens: 0,
      usd: '0',
      sell_usd: '0',
    };
    expect(formatUsage('model', [{ model: 'a\u001b[2Jb', ...sums }], 'table')).toContain('a\u{fffd}[2Jb');
  });

  test('moments', () => {
    const now = Date.UTC(2030, 0, 15, 12);
    expect(readMoment('7d', now)).toBe(Date.UTC(2030, 0, 8, 12));
    expect(readMoment('90m', now)).toBe(Date.UTC(2030, 0, 15, 10, 30));
    expect(readMoment('2030-01-02', now)).toBe(Date.UTC(2030, 0, 2));
    expect(readMoment('2030-01-02T03:04', now)).toBe(Date.UTC(2030, 0, 2, 3, 4));
    expect(readMoment('2030-01-02T03:04+02:00', now)).toBe(Date.UTC(2030, 0, 2, 1, 4));
    for (const wrong of ['', 'yesterday', '7', '2030-13-01', '7y'])
      expect(readMoment(wrong, now)).toBeUndefined();
  });
});

describe('keys', () => {
  test('admin-token makes another one, and prints it alone', async () => {
    const dir = join(tempDir(), 'new');
    const first = await sluice('keys', 'admin-token', '--data', dir);
    const second = await sluice('keys', 'admin-token', '--data', dir);
    expect(second.out).toMatch(/^sluice-admin-[0-9a-f]{32}\n$/);
    expect(second.out).not.toBe(first.out);
    const store = await openStore(dir, 'sqlite');
    const secrets = [first, second].map(({ out }) => hashSecret(out.trim()));
    expect(await findToken(store.db, secrets[0]!, Date.now())).toBeUndefined();
    expect(await findToken(store.db, secrets[1]!, Date.now())).toMatchObject({ role: 'owner' });
    const told = await store.db.selectFrom('audit').select(['actor', 'action', 'subject']).execute();
    expect(told).toEqual(Array(2).fill({ actor: 'cli', action: 'renew', subject: 'token:token_first' }));
    await store.close();
  });

  test('create prints the secret once; list and revoke know the key', async () => {
    const dir = join(tempDir(), 'new');
    await sluice('teams', 'create', 'web', '--data', dir);
    const made = await sluice(
      ...['keys', 'create', '--name', 'ci', '--team', 'web', '--models', 'fast, smart', '--data', dir],
      ...['--limit', 'usd=5/day', '--limit', 'concurrency=8', '--expires', '30d'],
    );
    const secret = made.out.split('\n')[0]!;
    expect(secret).toMatch(/^sk-sluice-[0-9a-f]{32}$/);
    const store = await openStore(dir, 'sqlite');
    const [key] = await listKeys(store.db);
    await store.close();
    expect(key).toMatchObject({
      name: 'ci',
      team: 'web',
      hash: hashSecret(secret),
      document: {
        models: ['fast', 'smart'],
        limits: [{ usd: 5, per: 'day' }, { concurrency: 8 }],
      },
    });
    expect(Date.parse(String(key!.document.expires)) - key!.createdAt).toBeCloseTo(30 * 86_400_000, -4);

    const list = await sluice('keys', 'list', '--data', dir);
    expect(list.out).toMatch(/ci +key_\w+ +web +fast smart +usd=5\/day concurrency=8 .* active\n$/);
    expect(list.out).not.toContain(secret);
    expect((await sluice('keys', 'create', '--name', 'ci', '--data', dir)).err).toContain(
      'A key named ci exists',
    );

    expect((await sluice('keys', 'revoke', 'ci', '--data', dir)).out).toStartWith('Revoked ci (key_');
    const json = await sluice('keys', 'list', '--format', 'json', '--data', dir);
    expect(JSON.parse(json.out)).toMatchObject([
      { name: 'ci', limits: [{ usd: 5, per: 'day' }, { concurrency: 8 }], state: 'revoked' },
    ]);
    expect(json.out).not.toContain(hashSecret(secret));
  });

  test('a limit is a unit, an amount and a window', () => {
    expect(parseLimit('requests=60/minute')).toEqual({ unit: 'requests', max: 60, per: 'minute' });
    expect(parseLimit('usd=0.25/hour')).toEqual({ unit: 'usd', max: 250_000_000, per: 'hour' });
    const written = 'usd=5/month,time_zone=Europe/Berlin,when_exhausted=refuse,warn=50+80';
    for (const each of [written, 'requests=60/minute,sliding', 'tokens=9/lifetime', 'concurrency=2'])
      expect(formatLimit(parseLimit(each))).toBe(each);
    for (const wrong of [
      'usd=5',
      'concurrency=8/day',
      'requests=1.5/day',
      'tokens=0/day',
      'eur=5/day',
      'usd=5/fortnight',
      'usd=5/month,time_zone=Mars/Olympus',
      'usd=5/month,time_zone=Europe/Berlin,sliding',
      'requests=5/minute,when_exhausted=cut',
      'usd=5/day,warn=50+150',
    ]) {
      expect(() => parseLimit(wrong)).toThrow('usd=5/day');
    }
  });
});

describe('commands find the store by the configuration', () => {
  test('PostgreSQL too, also where its address is a variable and others are not set', async () => {
    const url = await (await postgres()).createDatabase();
    const dir = await spentDir();
    const file = join(tempDir(), 'sluice.yaml');
    writeFileSync(
      file,
      `data: ${dir}\nstore: "\${SLUICE_TEST_STORE}"\nproviders: { openai: { key: "\${NOT_SET_HERE}" } }\n`,
    );
    expect((await sluice('keys', 'list', '--config', file)).err).toContain('SLUICE_TEST_STORE is not set');
    process.env.SLUICE_TEST_STORE = url;
    try {
      const made = await sluice('keys', 'create', '--name', 'laptop', '--config', file);
      const store = await openStore('', url);
      expect(await listKeys(store.db)).toMatchObject([{ name: 'laptop', hash: hashSecret(made.out.trim()) }]);
      await store.close();
      expect((await sluice('keys', 'list', '--config', file)).out).toContain('laptop');
      const { out } = await sluice('usage', '--by', 'team', '--format', 'json', '--config', file);
      expect(JSON.parse(out)).toMatchObject([{ team: 'web', calls: 2 }]);
    } finally {
      delete process.env.SLUICE_TEST_STORE;
    }
  });

  test('a database that cannot be used is told of in one line, without its password', async () => {
    const file = join(tempDir(), 'sluice.yaml');
    writeFileSync(file, 'store: postgres://me:hush@127.0.0.1:1/calls\n');
    const { err, code } = await sluice('usage', '--config', file, '--data', tempDir());
    expect(err).toMatch(/^sluice: cannot use the PostgreSQL database calls at 127.0.0.1:1 \([^\n]+\)\n$/);
    expect(err).not.toContain('hush');
    expect(code).toBe(1);
  });
});
