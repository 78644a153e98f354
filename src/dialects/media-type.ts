/** What a file is, by how it begins: more reliable than the type clients declare. */

/** Beginnings in base64. */
const beginnings: readonly [RegExp, string][] = [
  [/^\/9j\//, 'image/jpeg'],
  [/^iVBORw0KGgo/, 'image/png'],
  [/^R0lGOD/, 'image/gif'],
  // RIFF, four bytes of length, WEBP: sounds and films are RIFF, too.
  [/^UklGR.{7}RUJQ/, 'image/webp'],
  [/^JVBERi0/, 'application/pdf'],
];

/** @returns the MIME type of a picture or PDF; undefined for anything else. */
export function sniffMimeType(base64: string): string | undefined {
  return beginnings.find(([beginning]) => beginning.test(base64))?.[1];
}
