/** One file of the journal while it is written: lines go into memory that is the file. */
import { closeSync, constants, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { segmentPath } from './segments.ts';

export interface SegmentOptions {
  /** The file's size while it is written; a longer text goes into the next segment. */
  segmentBytes: number;
  /** Room is taken from the disk in steps of this size. */
  roomBytes: number;
  /** write(2) at a position: replaced in tests. Returns how many bytes it took. */
  write: (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => number;
}

/**
 * The file is mapped into memory (MAP_SHARED): a line is with the operating system as soon as it is copied, and
 * survives the death of the process just as if write(2) had taken it, at a tenth of the cost. What a mapping cannot
 * report is a full disk; so room is taken beforehand, by writing zeros with write(2), which can. Text never holds a
 * zero byte: a reader stops at the first.
 */
export class Segment {
  private readonly fd: number;
  private map: Buffer | undefined;
  private at = 0;
  /** Up to here the file has its blocks on the disk. */
  private room = 0;

  /** @throws the operating system's error. */
  constructor(
    dataDir: string,
    readonly number: number,
    private readonly options: SegmentOptions,
  ) {
    const path = segmentPath(dataDir, number);
    this.fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      this.map = mapFile(path, this.fd, options.segmentBytes);
    } catch (error) {
      closeSync(this.fd);
      // An empty segment left behind would tell readers that the one before it is finished.
      unlinkSync(path);
      throw error;
    }
  }

  /** Of text. */
  get bytes(): number {
    return this.at;
  }

  /** Whether a text of `units` UTF-16 units certainly fits. */
  fits(units: number): boolean {
    return this.at + (units + 1) * 3 <= this.options.segmentBytes;
  }

  /**
   * Appends a line, whole or not at all. The caller has asked whether it fits.
   * @throws the operating system's error when there is no room on the disk.
   */
  append(line: string): void {
    if (this.at + line.length * 3 > this.options.segmentBytes)
      throw new Error('a line is longer than a segment');
    this.makeRoom(line.length);
    if (this.map !== undefined) this.at += this.map.write(line, this.at);
    else {
      const bytes = Buffer.from(line);
      this.writeAll(bytes, this.at);
      this.at += bytes.length;
    }
  }

  /** Room for a text of `units` UTF-16 units, as far as the segment goes. @throws the operating system's error. */
  makeRoom(units: number): void {
    // Three bytes of UTF-8 at most for each UTF-16 unit.
    const needed = Math.min(this.at + units * 3, this.options.segmentBytes);
    if (needed > this.room) this.takeRoom(needed);
  }

  /** Gives back the room that was not used. */
  close(): void {
    // Unmapped now, not when the garbage is collected: until then it would count as memory of ours.
    (this.map?.buffer as ArrayBuffer | undefined)?.transfer(0);
    this.map = undefined;
    ftruncateSync(this.fd, this.at);
    closeSync(this.fd);
  }

  private takeRoom(needed: number): void {
    const { segmentBytes, roomBytes } = this.options;
    const upTo = Math.min(segmentBytes, Math.ceil(needed / roomBytes) * roomBytes);
    this.writeAll(new Uint8Array(upTo - this.room), this.room);
    this.room = upTo;
  }

  private writeAll(bytes: Uint8Array, position: number): void {
    let done = 0;
    while (done < bytes.length) {
      const taken = this.options.write(this.fd, bytes, done, bytes.length - done, position + done);
      if (taken <= 0) throw new Error('nothing was written');
      done += taken;
    }
  }
}

/** Undefined where files cannot be mapped (Windows, some network file systems, a limit on sizes): lines are written then. */
function mapFile(path: string, fd: number, sizeBytes: number): Buffer | undefined {
  try {
    ftruncateSync(fd, sizeBytes);
    const bytes = Bun.mmap(path, { shared: true });
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch {
    return undefined;
  }
}

export const defaultSegmentOptions: SegmentOptions = {
  segmentBytes: 4 * 1024 * 1024,
  roomBytes: 256 * 1024,
  write: writeSync,
};
