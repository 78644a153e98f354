/** What must change in a Responses request that is relayed as bytes. */
import { carriedMark } from '../../core/carry.ts';
import { findInside, type Member, valueText } from '../../wire/splice.ts';
import type { RelayPlan } from '../dialect.ts';
import { parseObject, planMember, stringsOf } from '../openai-chat/plan-relay.ts';
import type { Quirks } from '../quirks.ts';
import { madeUp } from './state.ts';

/** Undefined when something below the top level must change: then the body has to be rewritten. */
export function planRelay(
  body: Uint8Array,
  members: readonly Member[],
  quirks: Quirks,
): RelayPlan | undefined {
  const plan: RelayPlan = { edits: {}, hideUsage: false, lost: [] };
  for (const member of members) {
    if (needsRewrite(body, member, quirks)) return undefined;
    planMember(body, member, members, quirks, plan);
  }
  return plan;
}

function needsRewrite(body: Uint8Array, member: Member, quirks: Quirks): boolean {
  switch (member.name) {
    case 'input':
      // Items of other vendors' answers, which a provider of this dialect would look for in vain, or refuse.
      if (holds(body, member, madeUp) || holds(body, member, carriedMark)) return true;
      if (quirks.textOnly && (holds(body, member, '"input_') || holds(body, member, '"output_text"')))
        return true;
      if (quirks.toolIds !== undefined && !stringsOf(body, member, '"call_id"').every(fits, quirks.toolIds))
        return true;
      return quirks.noDeveloperRole === true && stringsOf(body, member, '"role"').includes('developer');
    case 'text':
      return quirks.noJsonSchema === true && holds(body, member, '"json_schema"');
    case 'reasoning': {
      const effort = parseObject(valueText(body, member))?.effort;
      const known: readonly unknown[] | undefined = quirks.efforts;
      return typeof effort === 'string' && known !== undefined && !known.includes(effort);
    }
    default:
      return false;
  }
}

function fits(this: RegExp, text: string): boolean {
  return this.test(text);
}

function holds(body: Uint8Array, member: Member, text: string): boolean {
  return findInside(body, member, text, member.start) >= 0;
}
