/** Embeddings at Amazon Bedrock, where each vendor's models are asked in its own words. */
import type { JsonObject } from '../../../core/json.ts';
import { type Spoken, unsupported } from '../operation.ts';
import { vectorsOf, writeRequests } from './cohere.ts';
import { readWish, sumCounts, writeVectors } from './shape.ts';

/** Undefined: no model for texts that is known. */
export function embedByBedrock(model: string): Spoken | undefined {
  if (/titan-embed-(text|g1)/.test(model)) return titan;
  return /cohere\.embed/.test(model) ? cohere : undefined;
}

const path = (model: string): string => `/model/${encodeURIComponent(model)}/invoke`;

/** One text a call. https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html */
const titan: Spoken = {
  path,
  translation: {
    write(ask, model, lost) {
      const first = !/titan-embed-text-v2/.test(model);
      const { texts, dimensions, inputType } = readWish(ask, first ? [] : ['normalize'], lost);
      if (inputType !== '') lost.push('input_type');
      if (first && dimensions !== undefined) throw fixed();
      const { normalize } = ask.members;
      return texts.map((inputText): JsonObject => {
        const body: JsonObject = { inputText };
        if (dimensions !== undefined) body.dimensions = dimensions;
        if (!first && normalize != null) body.normalize = normalize;
        return body;
      });
    },
    read: (answers, ask, model) =>
      writeVectors(
        answers.map(({ body }) => body.embedding ?? null),
        sumCounts(answers.map(({ body }) => body.inputTextTokenCount)),
        ask,
        model,
      ),
  },
};

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html */
const cohere: Spoken = {
  path,
  translation: {
    write(ask, model, lost) {
      const bodies = writeRequests(ask, lost);
      if (bodies[0]?.output_dimension !== undefined && /-v3/.test(model)) throw fixed();
      return bodies;
    },
    /** What was read is told in a header only. */
    read: (answers, ask, model) =>
      writeVectors(
        answers.flatMap(({ body }) => vectorsOf(body.embeddings)),
        sumCounts(answers.map(({ header }) => numberOf(header('x-amzn-bedrock-input-token-count')))),
        ask,
        model,
      ),
  },
};

function numberOf(text: string | null): number | undefined {
  return text === null || text === '' ? undefined : Number(text);
}

function fixed(): Error {
  return unsupported('dimensions', 'cannot be chosen with this model. Leave it out, or ask another model.');
}
