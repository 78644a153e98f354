/** The journal: append-only files of lines that say which attempts began and how they ended. */
import type { Dispatched, Journal, Settled } from '../core/record.ts';
import { LedgerError, type Lock, lockDataDir, reasonOf } from './data-dir.ts';
import { writeDispatched, writeSettled } from './lines.ts';
import { defaultSegmentOptions, Segment, type SegmentOptions } from './segment.ts';
import { listSegments } from './segments.ts';

export interface JournalFile extends Journal {
  readonly dataDir: string;
  /** Writes what is still owed, lets go of the data directory. */
  close(): void;
}

export interface JournalOptions {
  /** A lock on the directory that is held already; the journal releases it when closed. */
  lock?: Lock;
  /** Sizes, and what writes: for tests. */
  segment?: Partial<SegmentOptions>;
}

/**
 * Opens the journal of a data directory for appending and owns the directory until closed.
 *
 * A line is with the operating system when `dispatched` or `settled` returns: it survives the death of the process
 * (not a power cut; the store has most of it within a second). A line that cannot be written throws, and writing works
 * again as soon as there is space. A settled line that could not be written is still owed: it goes out before the next.
 * @throws LedgerError when the directory is not writable or another process has it; later, when a line was not written.
 */
export function openJournal(dataDir: string, options: JournalOptions = {}): JournalFile {
  const lock = options.lock ?? lockDataDir(dataDir);
  try {
    return openLocked(dataDir, lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openLocked(dataDir: string, lock: Lock, options: JournalOptions): JournalFile {
  const segmentOptions = { ...defaultSegmentOptions, ...options.segment };
  let segment = openSegment(listSegments(dataDir).at(-1) ?? Date.now());
  let owed: string[] = [];
  let closed = false;

  function openSegment(number: number): Segment {
    try {
      return new Segment(dataDir, number, segmentOptions);
    } catch (error) {
      throw new LedgerError(`Cannot open the journal in ${dataDir}: ${reasonOf(error)}.`, { cause: error });
    }
  }

  function append(line: string): void {
    if (closed) throw new LedgerError(`The journal in ${dataDir} is closed.`);
    if (!segment.fits(line.length)) rotate();
    try {
      segment.append(line);
    } catch (error) {
      throw new LedgerError(
        `Cannot write the journal in ${dataDir}: ${reasonOf(error)}. Calls are refused until it can be written again.`,
        { cause: error },
      );
    }
  }

  /** Readers take a segment for finished once a later one exists: nothing is written to it from then on. */
  function rotate(): void {
    const next = openSegment(Math.max(Date.now(), segment.number + 1));
    segment.close();
    segment = next;
  }

  function payOwed(): void {
    while (owed.length > 0) {
      append(owed[0]!);
      owed = owed.slice(1);
    }
  }

  return {
    dataDir,
    dispatched(record: Dispatched): void {
      if (owed.length > 0) payOwed();
      append(writeDispatched(record));
    },
    settled(dispatch: Dispatched, record: Settled): void {
      const line = writeSettled(dispatch, record);
      try {
        if (owed.length > 0) payOwed();
        append(line);
      } catch (error) {
        if (!closed) owed.push(line);
        throw error;
      }
    },
    close(): void {
      if (closed) return;
      try {
        payOwed();
      } catch {
        // Attempts whose end could not be written are found open, and settled as interrupted, at the next start.
      }
      closed = true;
      segment.close();
      lock.release();
    },
  };
}
