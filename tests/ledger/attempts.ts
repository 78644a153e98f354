/** Attempts and data directories for tests of ledger and store. */
import { afterAll, expect } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dispatched, Names, Settled } from '../../src/core/record.ts';
import { emptyUsage, type Usage } from '../../src/core/usage.ts';
import { followJournal } from '../../src/ledger/follow.ts';
import { openStore } from '../../src/store/open.ts';
import { mistakesInBooks } from '../store/books.ts';
import { recordedAttempts } from '../store/recorded-attempts.ts';
import { storeUrl } from '../store-url.ts';

const made: string[] = [];
afterAll(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** A new directory, removed after the test file. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  made.push(dir);
  return dir;
}

/** 2030-01-15 10:30 UTC. */
export const noon = Date.UTC(2030, 0, 15, 10, 30);

export function dispatch(call: string, more: Partial<Omit<Dispatched, 'names'> & Names> = {}): Dispatched {
  const { key, team, organisation, model, target, provider, tags, priceSource, ...others } = {
    ...usual,
    ...more,
  };
  const { operation, price, priceVersion = price?.version, ...rest } = others;
  return {
    call,
    attempt: 1,
    at: noon,
    stream: false,
    session: '',
    endUser: '',
    reservedNanoUsd: 0,
    ...rest,
    names: {
      key,
      team,
      organisation,
      model,
      target,
      provider,
      tags,
      priceSource,
      ...(operation !== undefined && { operation }),
      ...(priceVersion !== undefined && { priceVersion }),
      ...(price !== undefined && { price }),
    },
  };
}

const usual: Names = {
  key: 'ci',
  team: 'web',
  organisation: 'shop',
  model: 'fast',
  target: 'acme/one',
  provider: 'acme',
  tags: '',
  priceSource: 'test',
};

export function settle(of: Dispatched, more: Partial<Settled> = {}, usage: Partial<Usage> = {}): Settled {
  return {
    call: of.call,
    attempt: of.attempt,
    at: of.at + 1000,
    final: true,
    outcome: 'ok',
    upstreamStatus: 200,
    clientStatus: 200,
    firstByteMs: 120,
    durationMs: 1000,
    usage: { ...emptyUsage(), ...usage },
    estimated: false,
    nanoUsd: 0,
    lost: [],
    ...more,
  };
}

/** What the journal holds: its segments' texts, in order. */
export function segmentTexts(dataDir: string): string[] {
  const dir = join(dataDir, 'journal');
  return readdirSync(dir)
    .sort()
    .map((name) => readFileSync(join(dir, name), 'utf8').replace(/\0+$/, ''));
}

/** Applies the journal as the worker does, on this thread. */
export async function applyAll(dataDir: string): Promise<void> {
  const store = await openStore(dataDir, storeUrl(dataDir));
  const follower = await followJournal(dataDir, store);
  try {
    await follower.catchUp();
  } finally {
    follower.close();
    await store.close();
  }
}

/** Rows of attempts and the sum over all roll-ups, which must agree. */
export async function stored(dataDir: string) {
  const store = await openStore(dataDir, storeUrl(dataDir));
  try {
    const attempts = await recordedAttempts(store);
    const sums = await store.db
      .selectFrom('rollups')
      .select((eb) => [
        eb.fn.sum<number>('calls').as('calls'),
        eb.fn.sum<number>('attempts').as('attempts'),
        eb.fn.sum<number>('unpriced').as('unpriced'),
        eb.fn.sum<number>('errors').as('errors'),
        eb.fn.sum<number>('input').as('input'),
        eb.fn.sum<number>('nano_usd').as('nanoUsd'),
        eb.fn.sum<number>('sell_nano_usd').as('sellNanoUsd'),
      ])
      .executeTakeFirstOrThrow();
    expect(await mistakesInBooks(store.db)).toEqual([]);
    return { attempts, sums };
  } finally {
    await store.close();
  }
}
