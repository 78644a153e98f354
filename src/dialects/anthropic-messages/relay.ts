/** What must change in a request that is passed on as bytes. */
import { carriedMark } from '../../core/carry.ts';
import { findInside, type Member, valueText } from '../../wire/splice.ts';
import type { RelayPlan } from '../dialect.ts';
import type { Quirks } from '../quirks.ts';

const samplingMembers = ['temperature', 'top_p', 'top_k'];

/**
 * Undefined when the body has to be rewritten: the model takes another form of something below the top level, or the
 * messages hold thinking that nobody has signed, or another vendor has, which the API would refuse.
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
    if (quirks.drop?.includes(name) || (quirks.noSampling && samplingMembers.includes(name))) {
      plan.edits[name] = undefined;
      if (valueText(body, member) !== 'null') plan.lost.push(name);
    } else if (renamed !== undefined) {
      plan.edits[name] = undefined;
      plan.edits[renamed] = valueText(body, member);
    }
  }
  return plan;
}

function needsRewrite(body: Uint8Array, member: Member, quirks: Quirks): boolean {
  switch (member.name) {
    case 'messages':
      return (
        holds(body, member, '"signature"', '""') ||
        findInside(body, member, carriedMark, member.start) >= 0 ||
        (quirks.systemInMessages === false && holds(body, member, '"role"', '"system"'))
      );
    case 'thinking':
      if (quirks.thinking === 'adaptive') return holds(body, member, '"type"', '"enabled"');
      return quirks.thinking === 'budget' && holds(body, member, '"type"', '"adaptive"');
    case 'output_config':
      if (quirks.schemaByTool && findInside(body, member, '"format"', member.start) >= 0) return true;
      return quirks.thinking === 'budget' && findInside(body, member, '"effort"', member.start) >= 0;
    case 'output_format':
      return quirks.schemaByTool === true;
    default:
      return false;
  }
}

/** Whether some member of this name has this value, anywhere inside. Inside strings quotes are escaped: no mistake. */
function holds(body: Uint8Array, member: Member, name: string, value: string): boolean {
  for (
    let at = findInside(body, member, name, member.start);
    at >= 0;
    at = findInside(body, member, name, at + 1)
  ) {
    let next = at + name.length;
    while (body[next] === 0x20 || body[next] === 0x3a || (body[next]! >= 0x09 && body[next]! <= 0x0d)) next++;
    if (isAt(body, value, next)) return true;
  }
  return false;
}

function isAt(body: Uint8Array, text: string, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (body[at + i] !== text.charCodeAt(i)) return false;
  return true;
}
