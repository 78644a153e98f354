/** The journal: append-only files of lines that say which attempts began and how they ended. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Dispatched, Journal, Settled } from '../core/record.ts';
import { LedgerError, type Lock, lockDataDir, reasonOf } from './data-dir.ts';
import { writeDispatched, writeSettled } from './lines.ts';
import { listSegments, segmentPath } from './segments.ts';

export interface JournalFile extends Journal {
  readonly dataDir: string;
  /** Writes what is still owed, lets go of the data directory. */
  close(): void;
}

export interface JournalOptions {
  /** A lock on the directory that is held already; the journal releases it when closed. */
  lock?: Lock;
  /** A segment is followed by a new one once it is this long. */
  segmentBytes?: number;
  /** write(2): replaced in tests. Returns how many bytes it took. */
  write?: (fd: number, bytes: Uint8Array, offset: number, length: number) => number;
}

/**
 * Opens the journal of a data directory for appending and owns the directory until closed.
 *
 * A line is with the operating system when `dispatched` or `settled` returns: it survives the death of the process
 * (not a power cut; the store has most of it within a second). Each line is one write, so that a reader that sees
 * its newline may rely on it. A write that fails or comes up short is taken back, and throws; writing works again as
 * soon as there is space. A settled line that could not be written is still owed: it goes out before the next line.
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
  const segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024;
  const write = options.write ?? writeSync;
  const scratch = Buffer.allocUnsafe(64 * 1024);
  let segment = listSegments(dataDir).at(-1) ?? Date.now();
  let fd = openSegment(dataDir, segment);
  let sizeBytes = fstatSync(fd).size;
  /** The segment ends in part of a line (of a process that died, or that could not be taken back). */
  let torn = endsTorn(fd, sizeBytes);
  let owed: string[] = [];
  let closed = false;

  function append(line: string): void {
    if (closed) throw new LedgerError(`The journal in ${dataDir} is closed.`);
    if (sizeBytes >= segmentBytes && !torn) rotate();
    const whole = torn ? `\n${line}` : line;
    // Three bytes of UTF-8 at most for each UTF-16 unit.
    const fits = whole.length * 3 <= scratch.length;
    const bytes = fits ? scratch : Buffer.from(whole);
    const length = fits ? scratch.write(whole) : bytes.length;
    let done = 0;
    try {
      while (done < length) {
        const taken = write(fd, bytes, done, length - done);
        if (taken <= 0) throw new Error('nothing was written');
        done += taken;
      }
    } catch (error) {
      if (done > 0) takeBack();
      throw unwritten(error);
    }
    sizeBytes += length;
    torn = false;
  }

  function takeBack(): void {
    try {
      ftruncateSync(fd, sizeBytes);
    } catch {
      torn = true;
      sizeBytes = fstatSync(fd).size;
    }
  }

  function rotate(): void {
    try {
      const next = Math.max(Date.now(), segment + 1);
      const opened = openSegment(dataDir, next);
      closeSync(fd);
      fd = opened;
      segment = next;
      sizeBytes = 0;
    } catch (error) {
      throw unwritten(error);
    }
  }

  function payOwed(): void {
    while (owed.length > 0) {
      append(owed[0]!);
      owed = owed.slice(1);
    }
  }

  function unwritten(error: unknown): LedgerError {
    return new LedgerError(
      `Cannot write the journal in ${dataDir}: ${reasonOf(error)}. Calls are refused until it can be written again.`,
      { cause: error },
    );
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
      closeSync(fd);
      lock.release();
    },
  };
}

/** Read and write: reading only to find out how it ends. */
function openSegment(dataDir: string, segment: number): number {
  try {
    return openSync(segmentPath(dataDir, segment), 'a+', 0o600);
  } catch (error) {
    throw new LedgerError(`Cannot open the journal in ${dataDir}: ${reasonOf(error)}.`, { cause: error });
  }
}

function endsTorn(fd: number, sizeBytes: number): boolean {
  if (sizeBytes === 0) return false;
  const last = Buffer.alloc(1);
  readSync(fd, last, 0, 1, sizeBytes - 1);
  return last[0] !== 10;
}
