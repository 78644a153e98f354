/** What is not in the store yet is counted, and bounds what is taken on. */
import { describe, expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import type { Alert } from '../../src/core/alert.ts';
import { followJournal } from '../../src/ledger/follow.ts';
import { type JournalFile, openJournal } from '../../src/ledger/journal.ts';
import { recover } from '../../src/ledger/recover.ts';
import { listSegments, segmentPath } from '../../src/ledger/segments.ts';
import { createUpkeep } from '../../src/ledger/upkeep.ts';
import { openStore } from '../../src/store/open.ts';
import { applyAll, dispatch, segmentTexts, settle, stored, tempDir } from './attempts.ts';

const segment = { segmentBytes: 4000, roomBytes: 500 };

function fill(journal: JournalFile, from: number, count: number): void {
  for (let i = from; i < from + count; i++) {
    const begun = dispatch(`c${i}`);
    journal.dispatched(begun);
    journal.settled(begun, settle(begun, { nanoUsd: 1_000_001 }, { input: 10 }));
  }
}

const textBytes = (dir: string) => segmentTexts(dir).reduce((sum, text) => sum + Buffer.byteLength(text), 0);

async function follow(dir: string, journal: JournalFile): Promise<void> {
  const store = await openStore(dir, 'sqlite');
  const follower = await followJournal(dir, store);
  await follower.catchUp();
  journal.applied(follower.position());
  follower.close();
  await store.close();
}

describe('the backlog', () => {
  test('is what is written, less what is applied, also across restarts', async () => {
    const dir = tempDir();
    let journal = openJournal(dir, { segment });
    expect(journal.backlogBytes()).toBe(0);
    fill(journal, 0, 50);
    expect(journal.backlogBytes()).toBe(textBytes(dir));
    journal.close();
    journal = openJournal(dir, { segment });
    expect(journal.backlogBytes()).toBe(textBytes(dir));
    await follow(dir, journal);
    expect(journal.backlogBytes()).toBe(0);
    fill(journal, 50, 3);
    expect(journal.backlogBytes()).toBeGreaterThan(300);
    await follow(dir, journal);
    expect(journal.backlogBytes()).toBe(0);
    journal.close();
  });

  test('above its limit fills the journal, until the store has it', async () => {
    const dir = tempDir();
    const journal = openJournal(dir, { segment });
    journal.limit(20_000);
    let taken = 0;
    for (; !journal.full; taken++) fill(journal, taken, 1);
    // Weighed whenever a segment is full.
    expect(journal.backlogBytes()).toBeGreaterThan(20_000);
    expect(journal.backlogBytes()).toBeLessThan(20_000 + 2 * segment.segmentBytes);
    // What runs is written all the same.
    fill(journal, taken, 10);
    await follow(dir, journal);
    expect(journal.full as boolean).toBe(false);
    journal.close();
    const { attempts, sums } = await stored(dir);
    expect(attempts).toHaveLength(taken + 10);
    expect(sums.nanoUsd).toBe((taken + 10) * 1_000_001);
  });

  test('an attempt that runs for long keeps one segment, not all that come after', async () => {
    const dir = tempDir();
    const journal = openJournal(dir, { segment });
    const long = dispatch('long', { reservedNanoUsd: 7 });
    journal.dispatched(long);
    fill(journal, 0, 100);
    const before = listSegments(dir);
    await follow(dir, journal);
    expect(before.length).toBeGreaterThan(4);
    expect(listSegments(dir)).toEqual([before[0]!, before.at(-1)!]);
    journal.close();
    // Attempts that began in the kept segment and ended in one that is gone are not charged again.
    const next = openJournal(dir, { segment });
    expect(recover(next)).toBeGreaterThanOrEqual(1);
    next.close();
    await applyAll(dir);
    const { attempts, sums } = await stored(dir);
    expect(attempts).toHaveLength(101);
    expect(attempts.filter(({ outcome }) => outcome === 'interrupted').map(({ call }) => call)).toEqual([
      'long',
    ]);
    expect(sums.nanoUsd).toBe(100 * 1_000_001 + 7);
  });
});

describe('upkeep', () => {
  const bounds = { alarmBytes: 5000, limitBytes: 20_000 };

  function keep(options: Parameters<typeof openJournal>[1] = { segment }) {
    const dir = tempDir();
    const journal = openJournal(dir, options);
    const raised: Alert[] = [];
    const upkeep = createUpkeep(journal, { raise: (alert) => raised.push(alert) }, () => bounds);
    const position = { segment: 0, offset: 0 };
    const down = { ok: false, error: 'Gone.', position, appliedAt: 1000, unreadable: 2 };
    return { dir, journal, raised, upkeep, down };
  }

  test('tells of a store that is down, then of a journal that grows, then refuses', async () => {
    const { dir, journal, raised, upkeep, down } = keep();
    upkeep.onState({ ...down, ok: true });
    expect([upkeep.refusal(), upkeep.trouble(), raised]).toEqual([undefined, undefined, []]);
    upkeep.onState(down);
    expect(raised).toMatchObject([{ kind: 'store', reason: 'Gone.' }]);
    expect(upkeep.trouble()).toContain('the store cannot be written: calls go on');
    fill(journal, 0, 30);
    upkeep.onState(down);
    expect(raised.at(-1)).toMatchObject({ kind: 'journal', alarmBytes: 5000, limitBytes: 20_000 });
    expect(upkeep.refusal()).toBeUndefined();
    fill(journal, 30, 100);
    expect(upkeep.refusal()).toContain('the journal is full');
    const numbers = upkeep.numbers(61_000);
    expect(numbers).toEqual({
      storeWritable: false,
      backlogBytes: textBytes(dir),
      behindMs: 60_000,
      unreadable: 2,
    });
    await follow(dir, journal);
    const end = {
      segment: listSegments(dir).at(-1)!,
      offset: statSync(segmentPath(dir, listSegments(dir).at(-1)!)).size,
    };
    upkeep.onState({ ok: true, position: end, appliedAt: 5000, unreadable: 2 });
    expect([upkeep.refusal(), upkeep.trouble()]).toEqual([undefined, undefined]);
    expect(upkeep.numbers(61_000)).toMatchObject({ storeWritable: true, backlogBytes: 0, behindMs: 0 });
    journal.close();
  });

  test('a limit that is raised takes effect with the next state', () => {
    const { journal, upkeep, down } = keep();
    fill(journal, 0, 200);
    expect(journal.full).toBe(true);
    bounds.limitBytes = 10_000_000;
    upkeep.onState(down);
    bounds.limitBytes = 20_000;
    expect(journal.full).toBe(false);
    journal.close();
  });

  test('says that the disk is full, and notices by itself when it is not', () => {
    let room = Infinity;
    const write = (_fd: number, _bytes: Uint8Array, _offset: number, length: number) => {
      if (length > room) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      return length;
    };
    const { journal, upkeep } = keep({ segment: { ...segment, write } });
    const begun = dispatch('c1');
    journal.dispatched(begun);
    room = 0;
    expect(upkeep.refusal()).toBe('the journal cannot be written: calls are refused');
    expect(() => journal.settled(begun, settle(begun, { lost: ['x'.repeat(500)] }))).toThrow(
      'the disk is full',
    );
    room = Infinity;
    expect(upkeep.refusal()).toBeUndefined();
    journal.close();
  });
});
