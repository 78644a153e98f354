/** What must change in a request that is passed on as bytes. */
import { carriedMark } from '../../core/carry.ts';
import { isObject, type Json } from '../../core/json.ts';
import { findInside, type Member, valueText } from '../../wire/splice.ts';
import type { RelayPlan } from '../dialect.ts';
import type { Quirks } from '../quirks.ts';
import { respell } from './spelling.ts';
import { lacksSignature } from './turns.ts';

/**
 * Undefined when the body has to be rewritten: the contents hold other vendors' state, or calls that the model would
 * refuse as they are, or the model takes another form of thinking.
 */
export function planRelay(
  body: Uint8Array,
  members: readonly Member[],
  quirks: Quirks,
): RelayPlan | undefined {
  const plan: RelayPlan = { edits: {}, hideUsage: false, lost: [] };
  for (const member of members) {
    const { name } = member;
    if (needsRewrite(body, member, quirks)) return undefined;
    const { rename } = quirks;
    const renamed = rename !== undefined && Object.hasOwn(rename, name) ? rename[name] : undefined;
    if (quirks.drop?.includes(name)) {
      plan.edits[name] = undefined;
      if (valueText(body, member) !== 'null') plan.lost.push(name);
    } else if (renamed !== undefined) {
      plan.edits[name] = undefined;
      plan.edits[renamed] = valueText(body, member);
      // The path says it; what clients add is the name by which they know the model.
    } else if (name === 'model') plan.edits.model = undefined;
  }
  return plan;
}

function needsRewrite(body: Uint8Array, member: Member, quirks: Quirks): boolean {
  const holds = (text: string): boolean => findInside(body, member, text, member.start) >= 0;
  switch (member.name) {
    case 'contents':
      if (holds(carriedMark)) return true;
      if (quirks.noCallIds !== true && quirks.thinking !== 'level') return false;
      if (!holds('"functionCall"') && !holds('"function_call"')) return false;
      return quirks.noCallIds === true ? holds('"id"') : hasUnsignedCall(valueText(body, member));
    case 'generationConfig':
    case 'generation_config':
      if (quirks.thinking === 'none') return holds('"thinkingConfig"') || holds('"thinking_config"');
      return quirks.thinking === 'budget' && (holds('"thinkingLevel"') || holds('"thinking_level"'));
    default:
      return false;
  }
}

/** Only a look at each content tells: of parallel calls only the first is signed. */
function hasUnsignedCall(contents: string): boolean {
  let value: Json;
  try {
    value = JSON.parse(contents);
  } catch {
    return true;
  }
  return (
    !Array.isArray(value) || value.some((content) => isObject(content) && lacksSignature(respell(content)))
  );
}
