/** Members that applications fill with members of their own: in there a name means nothing to a dialect. */
import { clientDialects } from '../../src/dialects/index.ts';

const verbatim = new Set([
  // What tools take, say and are given.
  'parameters',
  'parametersJsonSchema',
  'parameters_json_schema',
  'input_schema',
  'schema',
  'responseSchema',
  'responseJsonSchema',
  'input',
  'arguments',
  'args',
  'response',
  'json',
  // Words by their number.
  'logit_bias',
]);

/** Where a request's conversation is, whatever else has that name further inside. */
const conversations = new Set(clientDialects.map(({ turns }) => turns.name));

/** @param depth how many members are around it. */
export function isVerbatim(name: string | number, depth: number): boolean {
  return verbatim.has(String(name)) && !(depth === 0 && conversations.has(String(name)));
}
