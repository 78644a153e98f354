/** Model lists in Anthropic's shape. https://platform.claude.com/docs/en/api/models/list */
import type { JsonObject } from '../../core/json.ts';

/** Nobody knows when a route's model was made: the shape asks for a date all the same. */
const unknownDate = '1970-01-01T00:00:00Z';

export function writeModel(id: string): JsonObject {
  return { type: 'model', id, display_name: id, created_at: unknownDate };
}

export function writeModels(ids: readonly string[]): JsonObject {
  return {
    data: ids.map(writeModel),
    has_more: false,
    first_id: ids[0] ?? null,
    last_id: ids.at(-1) ?? null,
  };
}
