/** Identifiers that sort by time and are unique across processes without asking anybody. */
import { randomBytes } from 'node:crypto';

const node = randomBytes(5).toString('hex');
let lastMs = 0;
let sequence = 0;
let stamp = '';

/**
 * A call's id, also its `x-request-id`: `<time in base 36><sequence within the millisecond><random of this process>`,
 * 22 characters of [0-9a-z]. Ids of one process are strictly increasing, also when the clock steps back.
 */
export function newCallId(): string {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    sequence = 0;
    stamp = now.toString(36).padStart(9, '0');
  }
  return `${stamp}${(sequence++).toString(36).padStart(3, '0')}${node}`;
}

/** A short random id for things made inside answers (tool calls, messages): `prefix` + 24 characters of [0-9a-f]. */
export function randomId(prefix: string): string {
  return prefix + randomBytes(12).toString('hex');
}

/** An id as newCallId makes them; the sequence may need a fourth digit only past 46,655 calls within a millisecond. */
const callIdForm = /^[0-9a-z]{9}[0-9a-z]{3}[0-9a-f]{10}$/;
const packedBytes = 13;
/** What begins a packed id that has another form; no time begins so. */
const foreign = 0xff;

/**
 * A call's id as it is stored: 13 bytes for one of newCallId's making, and in the same order. Any other text is kept as
 * it is, behind a mark.
 */
export function packCallId(id: string): Buffer {
  if (!callIdForm.test(id)) return Buffer.concat([Buffer.from([foreign]), Buffer.from(id)]);
  const bytes = Buffer.allocUnsafe(packedBytes);
  bytes.writeUIntBE(Number.parseInt(id.slice(0, 9), 36), 0, 6);
  bytes.writeUInt16BE(Number.parseInt(id.slice(9, 12), 36), 6);
  bytes.write(id.slice(12), 8, 'hex');
  return bytes;
}

/** The reverse: every text comes back as it was. */
export function unpackCallId(packed: Uint8Array): string {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  if (bytes[0] === foreign || bytes.length !== packedBytes) return bytes.toString('utf8', 1);
  const time = bytes.readUIntBE(0, 6).toString(36).padStart(9, '0');
  return time + bytes.readUInt16BE(6).toString(36).padStart(3, '0') + bytes.toString('hex', 8);
}
