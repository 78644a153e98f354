/** Embeddings of Gemini: by batch at its own API, one text a call at Vertex AI. https://ai.google.dev/api/embeddings */
import { isObject, type Json, type JsonObject } from '../../../core/json.ts';
import { pathOf } from '../../gemini/path.ts';
import type { Quirks } from '../../quirks.ts';
import type { Answered, Ask, Spoken } from '../operation.ts';
import { inGroups, readWish, sumCounts, type Wish, writeVectors } from './shape.ts';

/** https://ai.google.dev/gemini-api/docs/embeddings#task-types */
const taskTypes: Readonly<Record<string, string>> = {
  search_document: 'RETRIEVAL_DOCUMENT',
  search_query: 'RETRIEVAL_QUERY',
  classification: 'CLASSIFICATION',
  clustering: 'CLUSTERING',
};

/** https://ai.google.dev/api/embeddings#method:-models.batchembedcontents */
const maxBatch = 100;

export function embedByGemini(model: string, { predicts }: Quirks): Spoken {
  if (predicts !== true) return batched;
  return /^gemini-embedding-(?!001)/.test(model) ? single : predicted;
}

/** What vectors shall be like, in Google's words. */
function configOf({ dimensions, inputType }: Wish): JsonObject {
  const config: JsonObject = {};
  if (inputType !== '') config.taskType = taskTypes[inputType] ?? inputType;
  if (dimensions !== undefined) config.outputDimensionality = dimensions;
  return config;
}

function contentOf(text: string): JsonObject {
  return { parts: [{ text }] };
}

const batched: Spoken = {
  path: (model) => pathOf(model, 'batchEmbedContents'),
  translation: {
    write(ask, model, lost) {
      const wish = readWish(ask, [], lost);
      const config = configOf(wish);
      return inGroups(wish.texts, maxBatch).map((texts) => ({
        requests: texts.map((text) => ({ model: `models/${model}`, content: contentOf(text), ...config })),
      }));
    },
    read: (answers, ask, model) =>
      write(answers, ask, model, ({ embeddings }) =>
        (Array.isArray(embeddings) ? embeddings : []).map(valuesOf),
      ),
  },
};

const single: Spoken = {
  path: (model) => pathOf(model, 'embedContent'),
  translation: {
    write(ask, _model, lost) {
      const wish = readWish(ask, [], lost);
      const config = configOf(wish);
      const said = Object.keys(config).length === 0 ? {} : { embedContentConfig: config };
      return wish.texts.map((text) => ({ content: contentOf(text), ...said }));
    },
    read: (answers, ask, model) => write(answers, ask, model, ({ embedding }) => [valuesOf(embedding)]),
  },
};

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api */
const predicted: Spoken = {
  path: (model) => pathOf(model, 'predict'),
  translation: {
    write(ask, _model, lost) {
      const wish = readWish(ask, [], lost);
      const { taskType, outputDimensionality } = configOf(wish);
      return wish.texts.map((content) => ({
        instances: [{ content, ...(taskType !== undefined && { task_type: taskType }) }],
        ...(outputDimensionality !== undefined && { parameters: { outputDimensionality } }),
      }));
    },
    read(answers, ask, model) {
      const found = answers.map(({ body }) => {
        const [first] = Array.isArray(body.predictions) ? body.predictions : [];
        return isObject(first) && isObject(first.embeddings) ? first.embeddings : {};
      });
      const counts = found.map(({ statistics }) =>
        isObject(statistics) ? statistics.token_count : undefined,
      );
      return writeVectors(found.map(valuesOf), sumCounts(counts), ask, model);
    },
  },
};

function write(
  answers: readonly Answered[],
  ask: Ask,
  model: string,
  vectorsOf: (body: JsonObject) => Json[],
): JsonObject {
  const counts = answers.map(({ body: { usageMetadata } }) =>
    isObject(usageMetadata) ? usageMetadata.promptTokenCount : undefined,
  );
  return writeVectors(
    answers.flatMap(({ body }) => vectorsOf(body)),
    sumCounts(counts),
    ask,
    model,
  );
}

function valuesOf(embedding: Json | undefined): Json {
  return (isObject(embedding) ? embedding.values : undefined) ?? null;
}
