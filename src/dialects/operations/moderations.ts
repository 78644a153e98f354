/** Moderation, in OpenAI's shape: https://platform.openai.com/docs/api-reference/moderations */
import { isObject, type Json } from '../../core/json.ts';
import { emptyUsage } from '../../core/usage.ts';
import { type Operation, readTokens, spokenByOpenai, textOf } from './operation.ts';

export const moderations: Operation = {
  name: 'moderations',
  clientPath: '/v1/moderations',
  form: 'never',
  contentMembers: ['results'],

  spoken: (dialect) => spokenByOpenai(dialect, '/moderations'),

  text: ({ members }) => [members.input].flat().map(textIn).join('\n'),
  estimate(_ask, textTokens) {
    const usage = emptyUsage();
    usage.input = textTokens;
    return usage;
  },
  usage: (answer) => readTokens(answer.usage),
};

/** A text by itself, or as one part beside images. */
function textIn(part: Json | undefined): string {
  return isObject(part) ? textOf(part.text) : textOf(part);
}
