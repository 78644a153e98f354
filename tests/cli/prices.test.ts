/** `sluice prices` and `sluice reprice` from the outside; and that nobody asks the network what anything costs. */
import { beforeAll, expect, spyOn, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../../src/config/compile.ts';
import { configFromEnvironment } from '../../src/config/load.ts';
import { createRecorder } from '../../src/store/attempts.ts';
import { openStore } from '../../src/store/open.ts';
import { dispatch, settle, tempDir } from '../ledger/attempts.ts';

const root = join(import.meta.dir, '../..');

async function sluice(...args: string[]): Promise<{ out: string; err: string; exitCode: number }> {
  const child = Bun.spawn([join(root, 'bin/sluice'), ...args], { stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { out, err, exitCode: await child.exited };
}

let dir: string;
let file: string;

beforeAll(async () => {
  dir = tempDir();
  file = join(dir, 'sluice.yaml');
  writeFileSync(
    file,
    `data: ${dir}
providers: { acme: { speaks: openai-chat, url: "http://127.0.0.1:1", key: k } }
models: { fast: acme/odd, unknown: acme/none }
prices: { acme/odd: { input: 1, output: 2, web_search: 0.01, above: [{ tokens: 1000, input: 2 }] } }
teams: { web: { organisation: shop } }
organisations: { shop: { pricing: { markup: 50% } } }
`,
  );
  const store = await openStore(dir, 'sqlite');
  const begun = dispatch('c1', {
    target: 'acme/odd',
    model: 'fast',
    priceSource: '',
    at: Date.UTC(2026, 0, 1),
  });
  const other = dispatch('c2', {
    target: 'acme/odd',
    model: 'fast',
    priceSource: '',
    organisation: 'kept',
    at: Date.UTC(2026, 0, 1),
  });
  await createRecorder(store.db, 'node').record(
    [begun, other].map((each) => ({
      dispatch: each,
      settled: settle(each, { nanoUsd: undefined }, { input: 1000 }),
    })),
    '1:1',
  );
  await store.close();
});

test('prices names source and version of every configured target, and what is not known', async () => {
  const { out } = await sluice('prices', '--config', file);
  expect(out).toMatch(/acme\/odd +config +[0-9a-f]{12} +1 +1 +1 +1 +2 {2}above 1000: 2\/2, web search 0.01/);
  expect(out).toMatch(/acme\/none +unpriced/);
  const { out: json } = await sluice('prices', 'fast', '--config', file, '--format', 'json');
  expect(JSON.parse(json)).toMatchObject([
    {
      target: 'acme/odd',
      source: 'config',
      price: { rates: { input: 1_000_000 }, webSearch: 10_000_000_000 },
    },
  ]);
  const { err, exitCode } = await sluice('prices', 'nobody', '--config', file);
  expect([exitCode, err]).toEqual([1, expect.stringContaining('No model "nobody"')]);
});

test('reprice shows what would change, changes it, and then finds nothing', async () => {
  const args = ['reprice', '--config', file, '--data', dir];
  const dry = await sluice(...args, '--dry-run');
  expect(dry.out).toStartWith('This would change:');
  const { out } = await sluice(...args, '--format', 'json');
  expect(JSON.parse(out)).toMatchObject([
    { target: 'acme/odd', attempts: 2, unpriced_before: 2, usd_after: '0.002', sell_usd_after: '0.0025' },
  ]);
  expect((await sluice(...args)).out).toBe('Nothing to change.\n');
  const told = await sluice('explain', '--call', 'c1', '--data', dir);
  expect(told.out).toMatch(/0\.001 \(charged 0\.0015\) +config [0-9a-f]{12}/);
});

test('no price is asked of the network', () => {
  const asked = spyOn(globalThis, 'fetch');
  const connected = spyOn(Bun, 'connect');
  try {
    const snapshot = compile(configFromEnvironment({ OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k' }), {
      version: 1,
    });
    for (const model of snapshot.listed) expect(snapshot.resolve(model)).toBeDefined();
    expect(snapshot.listed.length).toBeGreaterThan(5);
    expect(asked).not.toHaveBeenCalled();
    expect(connected).not.toHaveBeenCalled();
  } finally {
    asked.mockRestore();
    connected.mockRestore();
  }
});
