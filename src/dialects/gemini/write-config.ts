/** `generationConfig` for a provider, from a request of any dialect. https://ai.google.dev/api/generate-content#generationconfig */
import type { ChatRequest, OutputFormat } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { jsonInstruction } from '../json-instruction.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName } from './read-part.ts';
import { openApiOf } from './schema.ts';
import { writeThinking } from './thinking.ts';

/** More are refused. https://ai.google.dev/api/generate-content#generationconfig */
const mostStops = 5;
/** Seeds are 32-bit integers here. */
const largestSeed = 2 ** 31 - 1;

/** Names of plain values in the hub and on the wire. */
const plain = [
  ['temperature', 'temperature'],
  ['topP', 'topP'],
  ['topK', 'topK'],
  ['maxTokens', 'maxOutputTokens'],
  ['n', 'candidateCount'],
] as const;

const penalties = ['presencePenalty', 'frequencyPenalty'] as const;

/** @param lost gets hub names of hints that were left out or changed. */
export function writeConfig(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const config: JsonObject = {};
  for (const [name, member] of plain) if (request[name] !== undefined) config[member] = request[name];
  for (const name of penalties) {
    const value = request[name];
    if (value === undefined) continue;
    if (own || !quirks.noPenalties) config[name] = value;
    else if (value !== 0) lost.push(name);
  }
  writeStops(request, own, config, lost);
  writeSeed(request, own, config, lost);
  if (request.logprobs !== undefined) {
    config.responseLogprobs = true;
    if (request.logprobs > 0) config.logprobs = request.logprobs;
  }
  if (!formatByWords(request, quirks)) writeFormat(request.format, config, lost);
  const thinking = writeThinking(request, quirks, lost);
  if (thinking !== undefined) config.thinkingConfig = thinking;
  return config;
}

function writeStops({ stop }: ChatRequest, own: boolean, config: JsonObject, lost: string[]): void {
  if (stop === undefined) return;
  config.stopSequences = own ? stop : stop.slice(0, mostStops);
  if (!own && stop.length > mostStops) lost.push('stop');
}

function writeSeed({ seed }: ChatRequest, own: boolean, config: JsonObject, lost: string[]): void {
  if (seed === undefined) return;
  if (own || (Number.isInteger(seed) && Math.abs(seed) <= largestSeed)) config.seed = seed;
  else lost.push('seed');
}

function writeFormat(format: OutputFormat | undefined, config: JsonObject, lost: string[]): void {
  if (format === undefined) return;
  config.responseMimeType = 'application/json';
  if (format.type === 'json') return;
  const original = openApiOf(format.schema);
  if (original !== undefined) config.responseSchema = original;
  else config.responseJsonSchema = describe(format.schema, format.description, lost);
}

/** The format's description stands in the schema, unless that has one of its own. */
function describe(schema: Json, description: string | undefined, lost: string[]): Json {
  if (description === undefined || !isObject(schema)) return schema;
  if (schema.description !== undefined) lost.push('format.description');
  return { description, ...schema };
}

/**
 * Models before Gemini 3 refuse a form for the answer together with functions: then the form is asked for in words,
 * which the model follows as well as it can, rather than not at all.
 */
export function formatByWords({ dialect, format, tools }: ChatRequest, quirks: Quirks): boolean {
  return (
    dialect !== dialectName &&
    quirks.noSchemaWithTools === true &&
    format !== undefined &&
    tools !== undefined &&
    tools.length > 0
  );
}

/** Those words. */
export function describeFormat(format: OutputFormat): string {
  const final = `Call functions as you need them. ${jsonInstruction}`;
  if (format.type === 'json') return final;
  const about = format.description === undefined ? '' : ` It is ${format.description}`;
  return `${final}${about} It must conform to this JSON Schema:\n${JSON.stringify(format.schema)}`;
}
