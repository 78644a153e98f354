/** The journal: append-only files of lines that say which attempts began and how they ended. */
import type { Dispatched, Journal, Names, Planned, Settled } from '../core/record.ts';
import { Backlog } from './backlog.ts';
import { LedgerError, type Lock, lockDataDir, reasonOf } from './data-dir.ts';
import { writeDispatched, writeNames, writePlanned, writePriceLine, writeSettled } from './lines.ts';
import { defaultSegmentOptions, Segment, type SegmentOptions } from './segment.ts';
import { listSegments, mendSegment, type Position } from './segments.ts';

export interface JournalFile extends Journal {
  readonly dataDir: string;
  /** Bytes that are not in the store yet. */
  backlogBytes(): number;
  /** Whether a line could be written just now; what is still owed is. */
  hasRoom(): boolean;
  /** The store has all that stands before `position`. */
  applied(position: Position): void;
  /** From more than this backlog on the journal is `full`. */
  limit(bytes: number): void;
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
 * A line is with the operating system when `planned`, `dispatched` or `settled` returns: it survives the death of the process
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

/** More than most lines have. */
const usualLineChars = 500;

function openLocked(dataDir: string, lock: Lock, options: JournalOptions): JournalFile {
  const segmentOptions = { ...defaultSegmentOptions, ...options.segment };
  // What another process has written is left as it is: names are numbered anew in every segment.
  const last = listSegments(dataDir).at(-1);
  if (last !== undefined) mendSegment(dataDir, last);
  const backlog = new Backlog(dataDir);
  let segment = openSegment(Math.max(Date.now(), (last ?? 0) + 1));
  /** Numbers of the names that stand in the segment. */
  let numbers = new WeakMap<Names, number>();
  let named = 0;
  /** Versions of the prices that stand in the segment. */
  let priced = new Set<string>();
  let owed: { dispatch: Dispatched; record: Settled }[] = [];
  let closed = false;
  let limitBytes = Infinity;
  let full = false;

  function openSegment(number: number): Segment {
    try {
      return new Segment(dataDir, number, segmentOptions);
    } catch (error) {
      throw new LedgerError(`Cannot open the journal in ${dataDir}: ${reasonOf(error)}.`, { cause: error });
    }
  }

  /** A line is made for the segment it goes into. */
  function append(dispatch: Dispatched, record: Settled | undefined): void {
    if (closed) throw new LedgerError(`The journal in ${dataDir} is closed.`);
    let line = writeLine(dispatch, record, numberOf(dispatch.names));
    if (!segment.fits(line.length)) {
      rotate();
      line = writeLine(dispatch, record, numberOf(dispatch.names));
    }
    put(line);
  }

  function numberOf(names: Names): number {
    const known = numbers.get(names);
    if (known !== undefined) return known;
    writePriceOf(names);
    let line = writeNames(named, names);
    if (!segment.fits(line.length)) {
      rotate();
      line = writeNames(named, names);
    }
    put(line);
    numbers.set(names, named);
    return named++;
  }

  function writePriceOf({ price }: Names): void {
    if (price === undefined || priced.has(price.version)) return;
    const line = writePriceLine(price);
    if (!segment.fits(line.length)) rotate();
    put(line);
    priced.add(price.version);
  }

  function put(line: string): void {
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
    backlog.finish(segment.number, segment.bytes);
    segment = next;
    weigh();
    numbers = new WeakMap();
    named = 0;
    priced = new Set();
  }

  /** Looked at when a segment is full and whenever the store has more of it: often enough, and never on a call's path. */
  function weigh(): void {
    full = backlog.bytesWith(segment.number, segment.bytes) > limitBytes;
  }

  function payOwed(): void {
    while (owed.length > 0) {
      append(owed[0]!.dispatch, owed[0]!.record);
      owed = owed.slice(1);
    }
  }

  return {
    dataDir,
    get full() {
      return full;
    },
    backlogBytes: () => backlog.bytesWith(segment.number, segment.bytes),
    hasRoom() {
      try {
        payOwed();
        segment.makeRoom(usualLineChars);
        return true;
      } catch {
        return false;
      }
    },
    applied(position) {
      backlog.apply(position);
      weigh();
    },
    limit(bytes) {
      limitBytes = bytes;
      weigh();
    },
    planned(record: Planned): void {
      if (closed) throw new LedgerError(`The journal in ${dataDir} is closed.`);
      const line = writePlanned(record);
      if (!segment.fits(line.length)) rotate();
      put(line);
    },
    dispatched(record: Dispatched): void {
      if (owed.length > 0) payOwed();
      append(record, undefined);
    },
    settled(dispatch: Dispatched, record: Settled): void {
      try {
        if (owed.length > 0) payOwed();
        append(dispatch, record);
      } catch (error) {
        if (!closed) owed.push({ dispatch, record });
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

function writeLine(dispatch: Dispatched, record: Settled | undefined, names: number): string {
  return record === undefined ? writeDispatched(dispatch, names) : writeSettled(dispatch, record, names);
}
