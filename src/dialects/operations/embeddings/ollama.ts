/** Embeddings of Ollama: https://docs.ollama.com/api/embed */
import type { JsonObject } from '../../../core/json.ts';
import type { Spoken } from '../operation.ts';
import { readWish, sumCounts, writeVectors } from './shape.ts';

/** Members that mean the same there. */
const said = ['truncate', 'keep_alive', 'options'];

export const embedByOllama: Spoken = {
  path: () => '/api/embed',
  translation: {
    write(ask, model, lost) {
      const { texts, dimensions, inputType } = readWish(ask, said, lost);
      if (inputType !== '') lost.push('input_type');
      const body: JsonObject = { model, input: texts };
      if (dimensions !== undefined) body.dimensions = dimensions;
      for (const name of said) if (ask.members[name] != null) body[name] = ask.members[name];
      return [body];
    },
    read(answers, ask, model) {
      const vectors = answers.flatMap(({ body: { embeddings } }) =>
        Array.isArray(embeddings) ? embeddings : [],
      );
      return writeVectors(vectors, sumCounts(answers.map(({ body }) => body.prompt_eval_count)), ask, model);
    },
  },
};
