/** Brings tool calls and their results together: the API wants every call answered at the start of the next turn. */
import type { JsonObject } from '../../core/json.ts';
import type { Turn } from './turns.ts';

/**
 * Calls move to the end of their turn, their results to the start of the next; ids used twice are told apart. A call
 * without a result is answered with an error, a result without a call becomes text.
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls#tool-result-formatting
 * @param turns no two of one role in a row; their content is taken apart.
 */
export function answerCalls(turns: Turn[]): Turn[] {
  const answered: Turn[] = [];
  const ids = new Set<string>();
  for (let i = 0; i < turns.length; ) {
    const turn = turns[i++]!;
    const following: Turn[] = [];
    while (i < turns.length && turns[i]!.role !== 'assistant') following.push(turns[i++]!);
    const calls = turn.content.filter(isCall);
    const results = calls.map((call) => pair(call, takeResult(call, following), ids));
    answered.push({ role: turn.role, content: [...unwrapOrphans(turn.content.filter(isNoCall)), ...calls] });
    answered.push({ role: 'user', content: results });
    for (const { role, content } of following) answered.push({ role, content: unwrapOrphans(content) });
  }
  return answered;
}

const isCall = (block: JsonObject): boolean => block.type === 'tool_use';
const isNoCall = (block: JsonObject): boolean => block.type !== 'tool_use';

function takeResult(call: JsonObject, following: Turn[]): JsonObject {
  for (const { content } of following) {
    const at = content.findIndex((block) => block.type === 'tool_result' && block.tool_use_id === call.id);
    const [result] = at < 0 ? [] : content.splice(at, 1);
    if (result !== undefined) return result;
  }
  return {
    type: 'tool_result',
    content: 'There is no result: the tool call was not carried out.',
    is_error: true,
  };
}

/** Gives call and result an id that no other call of the request has. */
function pair(call: JsonObject, result: JsonObject, ids: Set<string>): JsonObject {
  let id = String(call.id);
  for (let n = 2; ids.has(id); n++) id = `${call.id}_${n}`;
  ids.add(id);
  call.id = id;
  result.tool_use_id = id;
  return result;
}

function unwrapOrphans(content: JsonObject[]): JsonObject[] {
  return content.flatMap((block) => {
    if (block.type !== 'tool_result') return [block];
    const parts = block.content ?? [];
    const told: JsonObject = { type: 'text', text: 'The result of an earlier tool call:' };
    return [told, ...(Array.isArray(parts) ? (parts as JsonObject[]) : [{ type: 'text', text: parts }])];
  });
}
