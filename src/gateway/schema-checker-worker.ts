/** The thread behind schema-checker.ts. */
import { type Schema, type SchemaDraft, Validator } from '@cfworker/json-schema';
import { isObject, type Json } from '../core/json.ts';
import type { SchemaVerdict } from './schema-checker.ts';

declare const self: Worker;

const maxErrors = 20;

self.onmessage = (event: MessageEvent<{ schema: Json; text: string }>) => {
  self.postMessage(judge(event.data.schema, event.data.text));
};

function judge(schema: Json, text: string): SchemaVerdict {
  if (!isObject(schema) && typeof schema !== 'boolean') return { type: 'unusable', why: 'it is no object' };
  try {
    // Not only the first of several mistakes is told: a model mends what it hears of.
    const validator = new Validator(schema as Schema | boolean, draftOf(schema), false);
    const { valid, errors } = validator.validate(JSON.parse(text));
    if (valid) return { type: 'valid' };
    const told = errors.filter(({ error }) => !isSummary(error)).slice(0, maxErrors);
    return {
      type: 'invalid',
      errors: told.map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`),
    };
  } catch (error) {
    const [line = ''] = String((error as Error).message).split('\n');
    return { type: 'unusable', why: line.slice(0, 200) };
  }
}

/** "Something below is wrong": said beside what is wrong below. */
function isSummary(error: string): boolean {
  return /^A subschema had errors|^Items did not match schema|^Property ".*" does not match (schema|additional)/.test(
    error,
  );
}

/** Schemas say which rules they follow, or follow the newest: https://json-schema.org/specification */
function draftOf(schema: Json): SchemaDraft {
  const name = isObject(schema) && typeof schema.$schema === 'string' ? schema.$schema : '';
  if (name.includes('draft-04')) return '4';
  if (/draft-0[67]/.test(name)) return '7';
  return name.includes('2019-09') ? '2019-09' : '2020-12';
}
