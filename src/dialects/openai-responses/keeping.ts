/** Going on from an answer by its id: https://platform.openai.com/docs/api-reference/responses/get */
import { isAnswerId } from '../../core/answers.ts';
import type { Message } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Keeping } from '../dialect.ts';
import { readInput } from './read-input.ts';
import { readResponse } from './response.ts';
import { isMadeUp, madeUp } from './state.ts';

export const keeping: Keeping = {
  member: 'previous_response_id',
  path: '/v1/responses/',
  inputs: 'input_items',
  mark: 'item_reference',
  referredTo: ({ input }) => [...new Set(listItems(input).flatMap((item) => answerOf(item) ?? []))],
  resolve(request, answers) {
    const input = listItems(request.input).map((item) => {
      const output = answers.get(answerOf(item) ?? '')?.output;
      const found = Array.isArray(output)
        ? output.find((each) => isObject(each) && each.id === item.id)
        : undefined;
      return found ?? item;
    });
    return { ...request, input };
  },
  turns(request, response): Message[] {
    const blocks = readResponse(response).choices[0]?.blocks ?? [];
    const said = readInput(request.input);
    return blocks.length === 0 ? said : [...said, { role: 'assistant', blocks }];
  },
  writeInputs(request, id) {
    const data = listItems(request.input).map((item, i) => ({ id: `${id}_${i}`, ...item }));
    return {
      object: 'list',
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: false,
    };
  },
  writeDeleted: (id) => ({ id, object: 'response', deleted: true }),
};

function listItems(input: Json | undefined): JsonObject[] {
  if (Array.isArray(input)) return input.filter(isObject);
  if (typeof input !== 'string') return [];
  return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] }];
}

/** Items of kept answers have ids made from those of their answers, so that the answer can be found by them: see OutputWriter. */
function answerOf({ type, id }: JsonObject): string | undefined {
  if (type !== 'item_reference' || typeof id !== 'string' || !isMadeUp(id)) return undefined;
  const answer = `resp_${id.slice(id.indexOf(madeUp) + madeUp.length, id.lastIndexOf('_'))}`;
  return isAnswerId(answer) ? answer : undefined;
}
