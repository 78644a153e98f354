/** How much of the journal is not in the store yet: counted as it is written and applied, without a look at the disk. */
import { statSync } from 'node:fs';
import { journalStart, listSegments, type Position, segmentPath } from './segments.ts';

export class Backlog {
  /** Segments that are finished and not applied to their end, in order. */
  private finished: { segment: number; bytes: number }[];
  private finishedBytes: number;
  private applied: Position = journalStart;

  /** What earlier processes left counts as not applied until the applier tells how far it is. */
  constructor(dataDir: string) {
    this.finished = listSegments(dataDir).map((segment) => ({
      segment,
      bytes: statSync(segmentPath(dataDir, segment)).size,
    }));
    this.finishedBytes = this.finished.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A segment grows no more. */
  finish(segment: number, bytes: number): void {
    this.finished.push({ segment, bytes });
    this.finishedBytes += bytes;
  }

  /** The store has all that stands before `position`. */
  apply(position: Position): void {
    this.applied = position;
    const at = this.finished.findIndex(({ segment }) => segment >= position.segment);
    const done = this.finished.splice(0, at < 0 ? this.finished.length : at);
    for (const { bytes } of done) this.finishedBytes -= bytes;
  }

  /** @param bytes of the segment that is being written. */
  bytesWith(segment: number, bytes: number): number {
    const { applied, finished } = this;
    // Only the first one can be applied in part.
    const part = (finished[0]?.segment ?? segment) === applied.segment ? applied.offset : 0;
    return Math.max(0, this.finishedBytes + bytes - part);
  }
}
