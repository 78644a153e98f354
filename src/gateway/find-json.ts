/** Finds JSON in what a model said: the text itself, in a code fence, or between other words. */

/** Texts of JSON values in `text`, the most likely first; at most a handful. Only objects and lists are looked for inside. */
export function findJson(text: string): string[] {
  const whole = text.trim();
  if (whole === '' || whole.length > maxChars) return [];
  if (isJson(whole)) return [whole];
  const found: string[] = [];
  const add = (part: string | undefined): void => {
    if (part !== undefined && found.length < maxFound && !found.includes(part)) found.push(part);
  };
  for (const [, fenced = ''] of whole.matchAll(fence)) {
    const part = fenced.trim();
    if (isJson(part)) add(part);
    else for (const inner of valuesIn(part)) add(inner);
    if (found.length >= maxFound) return found;
  }
  for (const part of valuesIn(whole)) add(part);
  return found;
}

/** Beyond this nobody searches. */
const maxChars = 4 * 1024 * 1024;
const maxFound = 5;
/** Brackets that begin nothing (a set in mathematics, a list of references) are passed over, so many times. */
const maxStarts = 50;

const fence = /```[a-zA-Z0-9]*[ \t]*\r?\n([\s\S]*?)```/g;

/** Objects and lists in a text, the outermost ones. */
function* valuesIn(text: string): Generator<string> {
  let starts = 0;
  for (let at = nextStart(text, 0); at >= 0 && starts < maxStarts; starts++) {
    const end = endOf(text, at);
    const part = end < 0 ? undefined : text.slice(at, end);
    if (part !== undefined && isJson(part)) {
      yield part;
      at = nextStart(text, end);
    } else at = nextStart(text, at + 1);
  }
}

function nextStart(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x7b || code === 0x5b) return i;
  }
  return -1;
}

/** Behind the bracket that closes the one at `start`, as far as brackets outside of strings tell; -1 when none does. */
function endOf(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) {
      depth--;
      if (depth === 0) return i + 1;
    }
  }
  return -1;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
