/** The registry: every operation beside chat that clients may ask for, by its path. */
import { embeddings } from './embeddings.ts';
import { imageEdits, imageGenerations, imageVariations } from './images.ts';
import { moderations } from './moderations.ts';
import type { Operation } from './operation.ts';
import { rerank } from './rerank.ts';
import { speech } from './speech.ts';
import { transcriptions, translations } from './transcriptions.ts';

const all: readonly Operation[] = [
  embeddings,
  imageGenerations,
  imageEdits,
  imageVariations,
  speech,
  transcriptions,
  translations,
  moderations,
  rerank,
];

export const operations: ReadonlyMap<string, Operation> = new Map(
  all.map((operation) => [operation.clientPath, operation]),
);
