/** A model of which nothing but its name is known: for the tests of lists. */
import type { ModelCard } from '../../src/core/model-card.ts';

export function cardOf(id: string): ModelCard {
  return {
    id,
    owner: undefined,
    targets: [],
    contextLength: undefined,
    maxOutput: undefined,
    price: undefined,
    says: new Set(),
    reads: ['text'],
  };
}
