/** What must change in a Chat Completions request that is relayed as bytes. */
import { carriedMark } from '../../core/carry.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { latin1 } from '../../wire/bytes.ts';
import { findInside, type Member, valueText } from '../../wire/splice.ts';
import type { RelayPlan } from '../dialect.ts';
import type { Quirks } from '../quirks.ts';
import { samplingMembers } from './write-request.ts';

/** Any of these in messages means that some content is a list of parts. */
const partWords = ['"text"', '"image_url"', '"file"', '"input_audio"'];

/**
 * Closures are avoided here and below: one that captures a parameter costs an allocation at each call, used or not.
 * Undefined when a quirk reaches below the top level of this body: then it has to be rewritten.
 */
export function planRelay(
  body: Uint8Array,
  members: readonly Member[],
  stream: boolean,
  quirks: Quirks,
): RelayPlan | undefined {
  const plan: RelayPlan = { edits: {}, hideUsage: false, lost: [] };
  let options: JsonObject | undefined;
  for (const member of members) {
    if (needsRewrite(body, member, quirks)) return undefined;
    if (member.name === 'stream_options') options = parseObject(valueText(body, member));
    planMember(body, member, members, quirks, plan);
  }
  if (quirks.noStreamOptions) {
    if (options !== undefined) plan.edits.stream_options = undefined;
  } else if (stream && options?.include_usage !== true) {
    plan.edits.stream_options = JSON.stringify({ ...options, include_usage: true });
    plan.hideUsage = true;
  }
  return plan;
}

export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: Json = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function planMember(
  body: Uint8Array,
  member: Member,
  members: readonly Member[],
  quirks: Quirks,
  plan: RelayPlan,
): void {
  const { name } = member;
  if (quirks.drop?.includes(name) || (quirks.noSampling && samplingMembers.includes(name))) {
    plan.edits[name] = undefined;
    if (valueText(body, member) !== 'null') plan.lost.push(name);
    return;
  }
  const wanted = renamed(name, quirks) ?? limitName(name, quirks);
  if (wanted === undefined || wanted === name) return;
  plan.edits[name] = undefined;
  // Where the client used both words, the right one is there already.
  if (!has(members, wanted)) plan.edits[wanted] = valueText(body, member);
}

function has(members: readonly Member[], name: string): boolean {
  for (const member of members) if (member.name === name) return true;
  return false;
}

/** Members are named by clients: `constructor` must not find what every object has. */
function renamed(name: string, { rename }: Quirks): string | undefined {
  return rename !== undefined && Object.hasOwn(rename, name) ? rename[name] : undefined;
}

function limitName(name: string, quirks: Quirks): string | undefined {
  return name === 'max_tokens' || name === 'max_completion_tokens' ? quirks.limitMember : undefined;
}

function needsRewrite(body: Uint8Array, member: Member, quirks: Quirks): boolean {
  switch (member.name) {
    case 'messages':
      // State that an answer of another vendor's had carried.
      if (findInside(body, member, carriedMark, member.start) >= 0) return true;
      if (quirks.noDeveloperRole && stringsOf(body, member, '"role"').includes('developer')) return true;
      if (quirks.textOnly && holdsParts(body, member)) return true;
      return quirks.toolIds !== undefined && !holdsOnly(body, member, '"tool_call_id"', quirks.toolIds);
    case 'response_format':
      return quirks.noJsonSchema === true && findInside(body, member, '"json_schema"', member.start) >= 0;
    case 'tool_choice':
      if (quirks.noForcedThinking && !unforced.has(valueText(body, member))) return true;
      return (quirks.requiredWord ?? 'required') !== 'required' && valueText(body, member) === '"required"';
    case 'reasoning_effort': {
      const known: readonly string[] | undefined = quirks.efforts;
      return known !== undefined && !known.includes(valueText(body, member).slice(1, -1));
    }
    default:
      return false;
  }
}

const unforced: ReadonlySet<string> = new Set(['"auto"', '"none"', 'null']);

function holdsOnly(body: Uint8Array, member: Member, word: string, form: RegExp): boolean {
  for (const text of stringsOf(body, member, word)) if (!form.test(text)) return false;
  return true;
}

function holdsParts(body: Uint8Array, messages: Member): boolean {
  for (const word of partWords) if (findInside(body, messages, word, messages.start) >= 0) return true;
  return false;
}

/**
 * Every string that is the value of a member of this name, at any depth, as raw text. Inside strings quotes are
 * escaped, so that a quoted word is found only where it is a name or a whole string.
 */
export function stringsOf(body: Uint8Array, member: Member, word: string): string[] {
  const found: string[] = [];
  for (
    let at = findInside(body, member, word, member.start);
    at >= 0;
    at = findInside(body, member, word, at + 1)
  ) {
    let start = at + word.length;
    while (body[start] === 0x3a || body[start] === 0x20 || (body[start]! >= 0x09 && body[start]! <= 0x0d))
      start++;
    if (body[start] !== 0x22) continue;
    const end = findInside(body, member, '"', start + 1);
    if (end >= 0) found.push(latin1(body, start + 1, end));
  }
  return found;
}
