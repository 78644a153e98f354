/** What stays the same through a conversation: its instructions and its first question. */
import { isObject, type Json } from '../core/json.ts';
import type { TurnsMember } from '../dialects/dialect.ts';
import { utf8 } from '../wire/bytes.ts';
import { type Member, scanElements } from '../wire/splice.ts';

/** Where dialects say what holds for the whole conversation. */
const instructions = new Set(['system', 'instructions', 'system_instruction', 'systemInstruction']);
/** Instructions in front of the first question, at most. */
const maxOpening = 4;

/** @returns '' where there is no question, or the body is not what it seems. */
export function digestPrompt(body: Uint8Array, members: readonly Member[], turns: TurnsMember): string {
  let state = 0n;
  let found = false;
  for (const { name, start, end } of members) {
    if (instructions.has(name)) state = Bun.hash.wyhash(body.subarray(start, end), state);
    if (name !== turns.name) continue;
    for (const part of opening(body.subarray(start, end))) {
      state = Bun.hash.wyhash(part, state);
      found = true;
    }
  }
  return found ? state.toString(36) : '';
}

/** The first turns, up to the first that is the user's. */
function opening(list: Uint8Array): Uint8Array[] {
  if (list[0] !== 0x5b) return list.length > 2 ? [list] : [];
  const elements = scanElements(list).slice(0, maxOpening);
  const first = elements.findIndex(isQuestion);
  return elements.slice(0, first < 0 ? 1 : first + 1);
}

function isQuestion(element: Uint8Array): boolean {
  try {
    const turn = JSON.parse(utf8(element)) as Json;
    return !isObject(turn) || turn.role === 'user' || turn.role === undefined;
  } catch {
    return false;
  }
}
