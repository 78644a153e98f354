/** Embeddings, in OpenAI's shape: https://platform.openai.com/docs/api-reference/embeddings */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { emptyUsage } from '../../core/usage.ts';
import { embedByBedrock } from './embeddings/bedrock.ts';
import { embedByCohere } from './embeddings/cohere.ts';
import { embedByGemini } from './embeddings/gemini.ts';
import { embedByOllama } from './embeddings/ollama.ts';
import { type Operation, readTokens, type Spoken, spokenByOpenai } from './operation.ts';

export const embeddings: Operation = {
  name: 'embeddings',
  clientPath: '/v1/embeddings',
  form: 'never',
  contentMembers: ['data'],
  bulky: true,

  spoken(dialect, model, quirks): Spoken | undefined {
    switch (dialect) {
      case 'gemini':
        return embedByGemini(model, quirks);
      case 'cohere-v2':
        return embedByCohere;
      case 'ollama':
        return embedByOllama;
      case 'bedrock-converse':
        return embedByBedrock(model);
      default:
        return spokenByOpenai(dialect, '/embeddings');
    }
  },

  text: ({ members }) => [members.input].flat().filter(isText).join('\n'),
  estimate: ({ members }, textTokens) => {
    const usage = emptyUsage();
    usage.input = textTokens + countIds(members.input);
    return usage;
  },
  usage: (answer) => readTokens(answer.usage),
  writeUsage(answer: JsonObject, { input }): void {
    if (!isObject(answer.usage)) answer.usage = { prompt_tokens: input, total_tokens: input };
  },
};

function isText(value: Json | undefined): value is string {
  return typeof value === 'string';
}

/** Texts may be given as the ids of their tokens. */
function countIds(input: Json | undefined): number {
  if (!Array.isArray(input)) return 0;
  return input.reduce<number>(
    (ids, each) => ids + (typeof each === 'number' ? 1 : Array.isArray(each) ? each.length : 0),
    0,
  );
}
