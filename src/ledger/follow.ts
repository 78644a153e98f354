/** Follows the journal and brings its attempts and plans into the store: the applier's work, on whatever thread it runs. */
import type { Planned, PriceRecord } from '../core/record.ts';
import { type Attempt, createRecorder } from '../store/attempts.ts';
import type { Store } from '../store/open.ts';
import { readNode } from './data-dir.ts';
import { openEntries } from './entries.ts';
import { journalStart, listSegments, type Position, removeSegment } from './segments.ts';

export interface Follower {
  /**
   * Applies all whole lines written so far, a transaction for every 256 KiB, and removes segments that are done with.
   * @throws the store's error; calling again goes on where it failed.
   */
  catchUp(): Promise<void>;
  /** The store has all that stands before it. */
  position(): Position;
  /** No line before the position was written after this moment (milliseconds since 1970). */
  appliedAt(): number;
  /** Lines that were neither: remains of writes that a crash cut short. */
  unreadable(): number;
  close(): void;
}

/** Goes on from the position the store remembers. @param onProgress called whenever the position has moved. */
export async function followJournal(dataDir: string, store: Store, onProgress = () => {}): Promise<Follower> {
  const recorder = createRecorder(store.db, readNode(dataDir));
  const reader = openEntries(dataDir);
  let position = readPosition(await recorder.position());
  let unreadable = 0;
  // A segment is named by when it was begun.
  let appliedAt = position.segment;
  /** Attempts that have begun, and in which segment: recovery needs that line until they are settled. */
  const open = findOpen(dataDir, position);

  async function catchUp(): Promise<void> {
    const before = position.segment;
    for (let part = reader.read(position); part !== undefined; part = reader.read(position)) {
      const attempts: Attempt[] = [];
      const plans: Planned[] = [];
      const prices: PriceRecord[] = [];
      let skipped = 0;
      for (const entry of part.entries) {
        if (entry === undefined) skipped++;
        else if (entry.kind === 'p') plans.push(entry.plan);
        else if (entry.kind === 'v') prices.push(entry.price);
        else if (entry.kind === 'd') open.set(entry.id, part.segment);
        else if (entry.kind === 's') {
          attempts.push(entry.attempt);
          open.delete(entry.id);
        }
      }
      // Lines of dispatches alone change nothing in the store; reading them again is free of consequences.
      if (attempts.length > 0 || plans.length > 0 || prices.length > 0)
        await recorder.record(attempts, writePosition(part.next), plans, prices);
      position = part.next;
      appliedAt = Math.max(appliedAt, attempts.at(-1)?.settled.at ?? 0);
      unreadable += skipped;
      onProgress();
    }
    appliedAt = Date.now();
    if (position.segment !== before) await removeDone();
  }

  async function removeDone(): Promise<void> {
    // An attempt that runs for hours keeps the segment it began in, and none of those that came after.
    const needed = new Set(open.values());
    const done = listSegments(dataDir).filter(
      (segment) => segment < position.segment && !needed.has(segment),
    );
    if (done.length === 0) return;
    await store.sync();
    for (const segment of done) removeSegment(dataDir, segment);
  }

  return {
    catchUp,
    position: () => position,
    appliedAt: () => appliedAt,
    unreadable: () => unreadable,
    close: () => reader.close(),
  };
}

/**
 * Attempts that had begun before a position and not ended: a store may be opened anew, or the applier start again,
 * while they run.
 */
function findOpen(dataDir: string, until: Position): Map<string, number> {
  const open = new Map<string, number>();
  const reader = openEntries(dataDir);
  try {
    let from = journalStart;
    for (let part = reader.read(from); part !== undefined; part = reader.read(from)) {
      const { segment } = part;
      if (
        segment > until.segment ||
        (segment === until.segment && from.segment === segment && from.offset >= until.offset)
      )
        break;
      for (const entry of part.entries) {
        if (entry?.kind === 'd') open.set(entry.id, segment);
        else if (entry?.kind === 's') open.delete(entry.id);
      }
      from = part.next;
    }
  } finally {
    reader.close();
  }
  return open;
}

function writePosition(position: Position): string {
  return `${position.segment}:${position.offset}`;
}

function readPosition(text: string | undefined): Position {
  const [segment, offset] = (text ?? '').split(':').map(Number);
  if (!Number.isSafeInteger(segment) || !Number.isSafeInteger(offset)) return journalStart;
  return { segment: segment!, offset: offset! };
}
