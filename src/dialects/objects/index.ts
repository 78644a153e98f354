/** The registry: every surface for files and batches, and how requests name what is kept there. */
import { find } from '../../wire/bytes.ts';
import { anthropicObjects } from './anthropic.ts';
import { geminiObjects } from './gemini.ts';
import { openaiObjects } from './openai.ts';
import type { Collection, Surface } from './surface.ts';

/** Where a path is shared, the first answers whose header nobody sent. */
export const surfaces: readonly Surface[] = [openaiObjects, anthropicObjects, geminiObjects];

/** The collection of a kind on the surface of that name; undefined where it has none. */
export function collectionOf(name: string, kind: string): Collection | undefined {
  const surface = surfaces.find((each) => each.name === name);
  return kind === 'batch' ? surface?.batches : surface?.files;
}

const marks = ['"file_id', '"fileUri"', '"file_uri"', '\\u00'];

/** Whether a body may name a file: one that does not can be passed on unread. */
export function mayNameFiles(body: Uint8Array): boolean {
  return marks.some((mark) => find(body, mark, 0) >= 0);
}

const named = /"(?:file_ids?|fileUri|file_uri)"\s*:\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\])/g;
const strings = /"(?:[^"\\]|\\.)*"/g;

/**
 * Ids of the files that a request names, anywhere in its JSON text, added to `found`. It is read as text, because of a
 * member that stands there twice parsers believe either.
 */
export function collectFiles(text: string, found: Set<string>): void {
  for (const [, value] of plainly(text).matchAll(named)) {
    for (const [quoted] of value!.matchAll(strings)) found.add(idIn(unquote(quoted)));
  }
}

/** Letters, digits, `-` and `_`, which nobody escapes who means no harm. */
const escapedWord = /\\u00(2d|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\da])/gi;

function plainly(text: string): string {
  if (!text.includes('\\u00')) return text;
  return text.replace(escapedWord, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function unquote(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}

/** `https://host/v1beta/files/abc` → `abc`. */
function idIn(name: string): string {
  return /(?:^|\/)files\/([^/?#:]+)/.exec(name)?.[1] ?? name;
}
