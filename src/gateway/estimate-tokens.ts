/** How many tokens a request's text has, told from the bytes of its body alone. */

/** Smaller bodies are taken as they are: they hold no image that matters. */
const smallBytes = 64 * 1024;
/** Shorter strings are text. */
const leastDataBytes = 2048;
/** Of so many bytes, the first few are looked at. */
const strideBytes = 512;
const probeBytes = 32;
/** `data:image/png;base64,` and the like. */
const maxPrefixBytes = 128;

/**
 * Of four bytes each, rather too few than too many. In a large body, strings that are nothing but base64 are left out:
 * images, sound and files, of which a token per four bytes would be far too many. All else counts, however long it is.
 */
export function estimateTokens(body: Uint8Array): number {
  return Math.ceil((body.length > smallBytes ? body.length - dataBytes(body) : body.length) / 4);
}

/** Bytes of long strings of base64. Looks at one byte in dozens, and into no string twice. */
function dataBytes(body: Uint8Array): number {
  let bytes = 0;
  for (let at = 0; at < body.length; at += strideBytes) {
    if (probe(body, at, body.length) === 0) continue;
    const start = body.lastIndexOf(quote, at) + 1;
    const end = body.indexOf(quote, at);
    if (end < 0) break;
    if (end - start >= leastDataBytes && isData(body, start, end)) bytes += end - start;
    // On to the next place behind the string.
    at += Math.floor((end - at) / strideBytes) * strideBytes;
  }
  return bytes;
}

/** Whether a string, as far as it is looked at, is base64: in capitals, small letters and digits, as no text is. */
function isData(body: Uint8Array, start: number, quoteAt: number): boolean {
  // A string within a string ends in an escaped quote.
  const end = body[quoteAt - 1] === backslash ? quoteAt - 1 : quoteAt;
  let at = behindPrefix(body, start);
  let seen = 0;
  for (; at < end; at += strideBytes) {
    const kinds = probe(body, at, end);
    if (kinds === 0) return false;
    seen |= kinds;
  }
  return (seen & allKinds) === allKinds;
}

function behindPrefix(body: Uint8Array, start: number): number {
  for (let i = 0; i < dataScheme.length; i++) if (body[start + i] !== dataScheme[i]) return start;
  const limit = start + maxPrefixBytes;
  for (let at = start; at < limit; at++) if (body[at] === comma) return at + 1;
  return start;
}

/** The kinds of characters that stand at `from`; 0 where any is none of base64's. */
function probe(body: Uint8Array, from: number, end: number): number {
  const to = Math.min(from + probeBytes, end);
  let seen = 0;
  for (let at = from; at < to; at++) {
    const byte = body[at]!;
    const kind = kindOf[byte]!;
    if (kind === 0) {
      // Lines may be broken, and slashes escaped.
      if (byte !== backslash || !mayBeEscaped(body[at + 1])) return 0;
      at++;
    }
    seen |= kind;
  }
  return seen;
}

function mayBeEscaped(byte: number | undefined): boolean {
  return byte === 0x6e || byte === 0x72 || byte === 0x2f;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const dataScheme = new TextEncoder().encode('data:');

const kinds = { capital: 1, small: 2, digit: 4, other: 8 } as const;
const allKinds = kinds.capital | kinds.small | kinds.digit;

/** By byte; 0: no character of base64, nor of its variant for URLs. */
const kindOf = makeKinds();

function makeKinds(): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(kinds.capital, 0x41, 0x5b);
  table.fill(kinds.small, 0x61, 0x7b);
  table.fill(kinds.digit, 0x30, 0x3a);
  for (const char of '+/=-_') table[char.charCodeAt(0)] = kinds.other;
  return table;
}
