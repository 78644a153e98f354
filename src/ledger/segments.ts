/** The journal's files as a reader sees them: numbered segments, read in order from a position, whole lines only. */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** A segment's number (it counts up with time and is never used twice) and a byte offset at the start of a line. */
export interface Position {
  segment: number;
  offset: number;
}

export const journalStart: Position = { segment: 0, offset: 0 };

const chunkBytes = 256 * 1024;
const newline = 10;

export function segmentPath(dataDir: string, segment: number): string {
  return join(dataDir, 'journal', `${segment.toString().padStart(15, '0')}.jsonl`);
}

/** Numbers of the segments that exist, ascending; none when there is no journal. */
export function listSegments(dataDir: string): number[] {
  let names: string[];
  try {
    names = readdirSync(join(dataDir, 'journal'));
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d{15}\.jsonl$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

export function removeSegment(dataDir: string, segment: number): void {
  unlinkSync(segmentPath(dataDir, segment));
}

function sizeOf(dataDir: string, segment: number): number {
  let fd: number;
  try {
    fd = openSync(segmentPath(dataDir, segment), 'r');
  } catch {
    return 0;
  }
  try {
    return textEnd(fd).offset;
  } finally {
    closeSync(fd);
  }
}

/**
 * Where the text of an open segment ends, and whether in the middle of a line. A segment that is being written is
 * longer than its text; behind the text are zeros. Zeros in between are what a power cut left of unwritten pages.
 */
function textEnd(fd: number): { offset: number; torn: boolean; holes: [from: number, to: number][] } {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  readSync(fd, bytes, 0, bytes.length, 0);
  let offset = bytes.length;
  while (offset > 0 && bytes[offset - 1] === 0) offset--;
  const holes: [number, number][] = [];
  for (let from = bytes.indexOf(0); from >= 0 && from < offset; ) {
    let to = from;
    while (bytes[to] === 0) to++;
    holes.push([from, to]);
    from = bytes.indexOf(0, to);
  }
  return { offset, torn: offset > 0 && bytes[offset - 1] !== newline, holes };
}

/**
 * Makes a segment whole that a dead process was writing: without the room that was not used, its last line ended, and
 * empty lines instead of what a power cut left of pages never written, since a reader stops at a zero.
 * @throws the operating system's error.
 */
export function mendSegment(dataDir: string, segment: number): void {
  const fd = openSync(segmentPath(dataDir, segment), 'r+');
  try {
    const { offset, torn, holes } = textEnd(fd);
    for (const [from, to] of holes)
      writeSync(fd, new Uint8Array(to - from).fill(newline), 0, to - from, from);
    ftruncateSync(fd, offset);
    if (torn) writeSync(fd, '\n', offset);
  } finally {
    closeSync(fd);
  }
}

/** Whole lines found at a position, and where the next ones will be. */
export interface Chunk {
  /** Without the last newline; '' for no line at all. */
  text: string;
  /** The segment it stands in. */
  segment: number;
  next: Position;
}

export interface Reader {
  /** The next whole lines at `position`, about 256 KiB of them; undefined at the end of what is written. */
  read(position: Position): Chunk | undefined;
  close(): void;
}

/**
 * Reads while another thread or process may be appending. A line without its newline is not there yet: nothing of it
 * is kept between reads, since a failed write takes it back.
 */
export function openReader(dataDir: string): Reader {
  let buffer = Buffer.allocUnsafe(chunkBytes);
  let fd: number | undefined;
  let opened = -1;

  function close(): void {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
    opened = -1;
  }

  function fill(position: Position): number {
    if (opened !== position.segment) {
      close();
      fd = openSync(segmentPath(dataDir, position.segment), 'r');
      opened = position.segment;
    }
    const bytes = readSync(fd!, buffer, 0, buffer.length, position.offset);
    // A zero is no text yet: what follows is not written, or not whole.
    const end = buffer.indexOf(0);
    return end >= 0 && end < bytes ? end : bytes;
  }

  function read(from: Position): Chunk | undefined {
    const position = existing(dataDir, from, opened);
    if (position === undefined) return undefined;
    let bytes = fill(position);
    if (bytes === 0 || buffer.lastIndexOf(newline, bytes - 1) < 0) {
      // Looked up before the last read: once a later segment exists, this one will not grow.
      const later = listSegments(dataDir).find((segment) => segment > position.segment);
      bytes = fill(position);
      while (bytes === buffer.length && buffer.lastIndexOf(newline) < 0) {
        buffer = Buffer.allocUnsafe(buffer.length * 2);
        bytes = fill(position);
      }
      if (bytes === 0 || buffer.lastIndexOf(newline, bytes - 1) < 0) {
        return later === undefined
          ? undefined
          : { text: '', segment: position.segment, next: { segment: later, offset: 0 } };
      }
    }
    const end = buffer.lastIndexOf(newline, bytes - 1);
    const text = buffer.toString('utf8', 0, end);
    return {
      text,
      segment: position.segment,
      next: { segment: position.segment, offset: position.offset + end + 1 },
    };
  }

  return { read, close };
}

/**
 * The position itself, or the first segment where its own is gone: segments are removed only behind a position, so it
 * was never this journal's. Reading too much is harmless, lines are applied once; too little would lose them.
 */
function existing(dataDir: string, position: Position, opened: number): Position | undefined {
  if (position.segment === opened) return position;
  const segments = listSegments(dataDir);
  if (segments.includes(position.segment)) {
    return sizeOf(dataDir, position.segment) < position.offset
      ? { segment: position.segment, offset: 0 }
      : position;
  }
  const segment = segments[0];
  return segment === undefined ? undefined : { segment, offset: 0 };
}
