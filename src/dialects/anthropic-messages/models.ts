/** Model lists in Anthropic's shape. https://platform.claude.com/docs/en/api/models/list */
import type { JsonObject } from '../../core/json.ts';
import type { ModelCard } from '../../core/model-card.ts';

/** Nobody knows when a route's model was made: the shape asks for a date all the same. */
const unknownDate = '1970-01-01T00:00:00Z';

/** `capabilities` are all or none in this shape, and nobody knows all of them. */
export function writeModel({ id, contextLength, maxOutput }: ModelCard): JsonObject {
  return {
    type: 'model',
    id,
    display_name: id,
    created_at: unknownDate,
    max_input_tokens: contextLength ?? null,
    max_tokens: maxOutput ?? null,
    capabilities: null,
    lifecycle: 'active',
    deprecated_at: null,
    retires_at: null,
    line: null,
  };
}

export function writeModels(entries: readonly JsonObject[]): JsonObject {
  return {
    data: [...entries],
    has_more: false,
    first_id: entries[0]?.id ?? null,
    last_id: entries.at(-1)?.id ?? null,
  };
}
