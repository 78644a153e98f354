/** The journal's lines as entries, with the names that stand earlier in their segment. */
import { type Entry, type NamesList, readEntries } from './lines.ts';
import { type Chunk, openReader, type Position } from './segments.ts';

/** Some entries in order, the segment they stand in and where the next ones will be. */
export interface Entries extends Omit<Chunk, 'text'> {
  entries: Entry[];
}

export interface EntryReader {
  /** The next entries at `position`; undefined at the end of what is written. */
  read(position: Position): Entries | undefined;
  close(): void;
}

export function openEntries(dataDir: string): EntryReader {
  const reader = openReader(dataDir);
  let names: NamesList = [];
  let namesOf = -1;

  /** Reading goes on in the middle of a segment: the names before that are looked up first. */
  function readNames(position: Position): void {
    let at = { segment: position.segment, offset: 0 };
    while (at.segment === position.segment && at.offset < position.offset) {
      const chunk = reader.read(at);
      if (chunk === undefined || chunk.segment !== position.segment) return;
      readEntries(chunk.text, names);
      at = chunk.next;
    }
  }

  return {
    read(position) {
      if (position.segment !== namesOf) {
        names = [];
        namesOf = position.segment;
        if (position.offset > 0) readNames(position);
      }
      const chunk = reader.read(position);
      if (chunk === undefined) return undefined;
      // The segment asked for may be gone: then another one is read from its start.
      if (chunk.segment !== namesOf) names = [];
      namesOf = chunk.segment;
      return { entries: readEntries(chunk.text, names), segment: chunk.segment, next: chunk.next };
    },
    close: () => reader.close(),
  };
}
