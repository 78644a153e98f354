/**
 * Watches a stream that is passed on as it is, event by whole event: whatever comes after, no half of one has gone
 * before. Chunks without any marker pass unread; the others are split into events and shown to an observer, which may
 * also ask for an event to be held back, or changed.
 */
import { latin1 } from './bytes.ts';
import { SseReader } from './sse.ts';

/** @returns false when the event must not be passed on; a text when that is to be passed on instead. */
export type Observe = (event: string, data: string) => boolean | string;

/** What passed is kept up to this size, for counting it when no usage came. */
const keptBytes = 256 * 1024;
/** An event larger than this is not an answer but an attack. */
const maxEventBytes = 32 * 1024 * 1024;

export class StreamTap {
  private readonly markers: RegExp;
  /** The parts of an event that has not ended yet. */
  private tail: Uint8Array[] = [];
  private tailSize = 0;
  private kept: Uint8Array[] = [];
  private keptSize = 0;
  /** All bytes that have come. */
  bytes = 0;
  /** Until the observer has seen something meaningful every event is shown to it. */
  attentive = true;

  /** @param markers see Dialect.tapMarkers. */
  constructor(
    markers: readonly string[],
    private readonly observe: Observe,
  ) {
    this.markers = markersOf(markers);
  }

  /**
   * @returns the bytes to pass on, possibly none.
   * @throws RangeError when one event grows beyond all bounds.
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    this.keep(chunk);
    const fresh = this.tail.length === 0;
    if (fresh && !this.attentive && endsEvent(chunk) && !this.isTelling(chunk)) return chunk;
    this.tail.push(chunk);
    this.tailSize += chunk.length;
    if (this.tailSize > maxEventBytes) throw new RangeError('a server-sent event exceeds 32 MiB');
    // An event that goes on is only kept: looking at all of it with every chunk would take quadratic time.
    if (!fresh && !mayEndEvent(chunk)) return undefined;
    const whole = fresh ? chunk : Buffer.concat(this.tail);
    const end = lastEventEnd(whole);
    this.tail = end === whole.length ? [] : [whole.subarray(end)];
    this.tailSize = whole.length - end;
    return this.pass(whole.subarray(0, end));
  }

  /** The bytes ended: what was held back, shown, unless it is not to be passed on. */
  end(): Uint8Array | undefined {
    if (this.tail.length === 0) return undefined;
    const rest = Buffer.concat(this.tail);
    this.tail = [];
    return this.pass(rest, true);
  }

  /** The chunks that came, the first 256 KiB of them, in order. */
  passed(): readonly Uint8Array[] {
    return this.kept;
  }

  private keep(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    if (this.keptSize >= keptBytes) return;
    this.kept.push(chunk);
    this.keptSize += chunk.length;
  }

  private isTelling(bytes: Uint8Array): boolean {
    return isOdd(bytes) || this.markers.test(latin1(bytes));
  }

  /** Shows whole events one by one, so that each can be left out. */
  private pass(bytes: Uint8Array, telling = false): Uint8Array | undefined {
    if (bytes.length === 0) return undefined;
    if (!telling && !this.attentive && !this.isTelling(bytes)) return bytes;
    const passing: Uint8Array[] = [];
    let changed = false;
    for (let from = 0; from < bytes.length; ) {
      const to = nextEventEnd(bytes, from);
      const event = bytes.subarray(from, to);
      const verdict = this.show(event);
      if (verdict === true) passing.push(event);
      else changed = true;
      if (typeof verdict === 'string') passing.push(Buffer.from(verdict));
      from = to;
    }
    if (!changed) return bytes;
    if (passing.length === 0) return undefined;
    return passing.length === 1 ? passing[0] : Buffer.concat(passing);
  }

  private show(bytes: Uint8Array): boolean | string {
    let verdict: boolean | string = true;
    const reader = new SseReader((event, data) => {
      verdict = this.observe(event, data);
    });
    reader.push(bytes);
    reader.end();
    return verdict;
  }
}

const compiled = new WeakMap<readonly string[], RegExp>();

function markersOf(markers: readonly string[]): RegExp {
  let found = compiled.get(markers);
  if (found === undefined) {
    found = new RegExp(markers.map((marker) => marker.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'));
    compiled.set(markers, found);
  }
  return found;
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/** A blank line ends in a newline, and begins at most with this chunk's predecessor. */
function mayEndEvent(bytes: Uint8Array): boolean {
  return bytes.indexOf(newline) >= 0;
}

function endsEvent(bytes: Uint8Array): boolean {
  const size = bytes.length;
  if (bytes[size - 1] !== newline) return false;
  return bytes[size - 2] === newline || (bytes[size - 2] === carriageReturn && bytes[size - 3] === newline);
}

const brace = 0x7d;

/** The last event of these is not a JSON object to its end: cut short, as broken ones are, or no JSON at all. */
function isOdd(bytes: Uint8Array): boolean {
  let last = bytes.length - 1;
  while (bytes[last] === newline || bytes[last] === carriageReturn) last--;
  return bytes[last] !== brace;
}

/** Offset just past the blank line that ends the event beginning at `from`, or the end of the bytes. */
function nextEventEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    const line = bytes.indexOf(newline, at);
    if (line < 0) return bytes.length;
    at = line + 1;
    if (bytes[at] === newline) return at + 1;
    if (bytes[at] === carriageReturn && bytes[at + 1] === newline) return at + 2;
  }
}

/** Offset just past the last blank line; 0 when there is none. */
function lastEventEnd(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0) {
    const line = bytes.lastIndexOf(newline, at - 1);
    if (line < 1) return 0;
    if (bytes[line - 1] === newline) return line + 1;
    if (bytes[line - 1] === carriageReturn && bytes[line - 2] === newline) return line + 1;
    at = line;
  }
  return 0;
}
