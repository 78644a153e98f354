/** The form an answer is to have: `outputConfig`. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_OutputConfig.html */
import type { ChatRequest } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import { closeSchema } from '../closed-schema.ts';
import type { Quirks } from '../quirks.ts';

/** The schema is a JSON text. https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html */
export function writeTextFormat(
  schema: string,
  name: string | undefined,
  description: string | undefined,
): JsonObject {
  const spec: JsonObject = { schema };
  if (name !== undefined) spec.name = name;
  if (description !== undefined) spec.description = description;
  return { type: 'json_schema', structure: { jsonSchema: spec } };
}

export function writeOutput(
  { format }: ChatRequest,
  body: JsonObject,
  quirks: Quirks,
  effort: string | undefined,
): void {
  const config: JsonObject = {};
  if (format?.type === 'schema' && !quirks.schemaByTool) {
    const schema = JSON.stringify(closeSchema(format.schema));
    config.textFormat = writeTextFormat(schema, format.name, format.description);
  }
  if (effort !== undefined) config.effort = effort;
  if (Object.keys(config).length > 0) body.outputConfig = config;
}
