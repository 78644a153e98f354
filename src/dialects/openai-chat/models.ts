/** Model lists in OpenAI's shape: https://platform.openai.com/docs/api-reference/models */
import type { JsonObject } from '../../core/json.ts';

/** Nobody knows when a route's model was made or by whom: the shape asks for both all the same. */
export function writeModel(id: string): JsonObject {
  return { id, object: 'model', created: 0, owned_by: 'sluice' };
}

export function writeModels(ids: readonly string[]): JsonObject {
  return { object: 'list', data: ids.map(writeModel) };
}
