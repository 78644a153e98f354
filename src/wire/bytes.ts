/** Buffer's methods on plain byte arrays: making a Buffer of one first costs several times as much as reading it. */

interface Reading {
  latin1Slice(from: number, to: number): string;
  utf8Slice(from: number, to: number): string;
  indexOf(text: string | Uint8Array, from: number, encoding?: 'latin1'): number;
  copy(target: Uint8Array, at: number, from: number, to: number): number;
  latin1Write(text: string, at: number): number;
  utf8Write(text: string, at: number): number;
}

const { latin1Slice, utf8Slice, indexOf, copy, latin1Write, utf8Write } =
  Buffer.prototype as unknown as Reading;

/** One character per byte. */
export function latin1(bytes: Uint8Array, from = 0, to = bytes.length): string {
  return latin1Slice.call(bytes, from, to);
}

/** `length` characters at `from`, fewer where the bytes end before. */
export function latin1At(bytes: Uint8Array, from: number, length: number): string {
  return latin1(bytes, Math.min(from, bytes.length), Math.min(from + length, bytes.length));
}

export function utf8(bytes: Uint8Array, from = 0, to = bytes.length): string {
  return utf8Slice.call(bytes, from, to);
}

/** Offset of an ASCII `text` at or after `from`; -1 when it is not there. */
export function find(bytes: Uint8Array, text: string, from: number): number {
  return indexOf.call(bytes, text, from, 'latin1');
}

/** Offset of the first `pattern`; -1 when it is not there. */
export function findBytes(bytes: Uint8Array, pattern: Uint8Array): number {
  return indexOf.call(bytes, pattern, 0);
}

/** Copies a range of `bytes` to `target` at `at`. @returns how many bytes. */
export function copyRange(
  bytes: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
): number {
  return copy.call(bytes, target, at, from, to);
}

/** Writes a text of one character per byte. @returns how many bytes. */
export function writeLatin1(target: Uint8Array, text: string, at: number): number {
  return latin1Write.call(target, text, at);
}

/** @returns how many bytes; `target` has to have room for all of them. */
export function writeUtf8(target: Uint8Array, text: string, at: number): number {
  return utf8Write.call(target, text, at);
}
