/**
 * Answers in JSON from models that have no switch for them: asked for in words, found among whatever else was said,
 * checked, and asked for once more when wrong.
 */
import type { Block, ChatRequest, ChatResponse, Choice, Message, OutputFormat } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json } from '../core/json.ts';
import type { Expressible } from '../core/loss.ts';
import type { Quirks } from '../dialects/quirks.ts';
import { findJson } from './find-json.ts';
import type { SchemaCheck } from './schema-checker.ts';

type SchemaFormat = Extract<OutputFormat, { type: 'schema' }>;

// Asking

export interface Instructed {
  request: ChatRequest;
  /** What the answer has to be: nothing but words asks for it. */
  form: OutputFormat;
  /** The words stand in a message of their own before all others. */
  first: boolean;
}

/**
 * The request with its format as instructions, where the target cannot be told otherwise; undefined where it can.
 * @throws GatewayError `bad_request` for a schema beyond all bounds.
 */
export function instruct(request: ChatRequest, can: Expressible, quirks: Quirks): Instructed | undefined {
  const { format, messages } = request;
  if (format === undefined || isNative(format, can, quirks)) return undefined;
  if (format.type === 'schema') requireBounds(format.schema);
  // The next best switch: whatever it is then, it is JSON. It allows objects only.
  const json: OutputFormat = { type: 'json' };
  const half = format.type === 'schema' && describesObject(format.schema) && isNative(json, can, quirks);
  const first = messages[0]?.role !== 'system';
  return {
    request: {
      ...request,
      format: half ? json : undefined,
      messages: addInstruction(messages, wordsFor(format)),
    },
    form: format,
    first,
  };
}

/** Whether nothing but words asks for the form of the answer: then it is read whole, and checked. */
export function isByInstruction({ format }: ChatRequest, can: Expressible, quirks: Quirks): boolean {
  return format !== undefined && !isNative(format, can, quirks);
}

function isNative(format: OutputFormat, can: Expressible, quirks: Quirks): boolean {
  if (!can.params.has('format') || can.formats?.has(format.type) === false) return false;
  if (format.type === 'json') return true;
  return !quirks.noJsonSchema && !(quirks.schemaByTool && !describesObject(format.schema));
}

function describesObject(schema: Json): boolean {
  return isObject(schema) && schema.type === 'object';
}

function wordsFor(format: OutputFormat): string {
  if (format.type === 'json') {
    return 'Answer with one valid JSON object and nothing else: no words around it, no code fence.';
  }
  const about = format.description === undefined ? '' : ` It is: ${format.description}`;
  return (
    `Answer with one JSON value and nothing else: no words around it, no code fence.${about}\n` +
    `It must conform to this JSON Schema:\n${JSON.stringify(format.schema)}`
  );
}

/** Behind the instructions there are at the beginning, else before everything. */
function addInstruction(messages: readonly Message[], text: string): Message[] {
  const [first, ...rest] = messages;
  if (first?.role !== 'system') return [{ role: 'system', blocks: [{ type: 'text', text }] }, ...messages];
  const only = first.blocks.length === 1 ? first.blocks[0] : undefined;
  // A text that stands alone stays one text: some hosts take no list of them.
  const blocks: Block[] =
    only?.type === 'text' && only.extra === undefined
      ? [{ ...only, text: `${only.text}\n\n${text}` }]
      : [...first.blocks, { type: 'text', text }];
  return [{ ...first, blocks }, ...rest];
}

/** A schema is sent with every call, and checked against: larger ones are no description of an answer. */
const maxSchemaChars = 256 * 1024;
const maxSchemaDepth = 64;

/** @throws GatewayError `bad_request` */
function requireBounds(schema: Json): void {
  let chars = 0;
  const rest: { value: Json | undefined; depth: number }[] = [{ value: schema, depth: 1 }];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const { value, depth } = next;
    if (depth > maxSchemaDepth) throw unusable(`it is nested more than ${maxSchemaDepth} levels deep`);
    if (typeof value === 'string') chars += value.length;
    if (typeof value !== 'object' || value === null) chars += 8;
    else {
      for (const name in value) {
        chars += name.length + 4;
        rest.push({ value: Array.isArray(value) ? value[Number(name)] : value[name], depth: depth + 1 });
      }
    }
    if (chars > maxSchemaChars) throw unusable(`it is larger than ${maxSchemaChars} characters`);
  }
}

function unusable(why: string): GatewayError {
  return new GatewayError('bad_request', `The JSON Schema of the answer cannot be used: ${why}.`, {
    param: 'response_format',
  });
}

// Checking

/** An answer that is not what was asked for. */
export interface Fault {
  /** What the model said. */
  text: string;
  /** What is wrong with it, one sentence each. */
  errors: readonly string[];
}

/**
 * Leaves of each choice's text the JSON that was asked for. Choices that end otherwise than by themselves (a token
 * limit, a tool call, a refusal) are not judged: clients hear of that in the usual way.
 * @returns what is wrong with the first choice that is none; undefined when all are.
 * @throws GatewayError `bad_request` when the schema itself is at fault.
 */
export async function checkForm(
  { choices }: ChatResponse,
  form: OutputFormat,
  check: SchemaCheck,
): Promise<Fault | undefined> {
  for (const choice of choices) {
    if (!isFinal(choice)) continue;
    const text = textOf(choice.blocks);
    const found = findJson(text);
    const errors = form.type === 'schema' ? await firstValid(found, form, check) : firstObject(found);
    if (typeof errors !== 'string') return { text, errors };
    if (errors !== text) replaceText(choice, errors);
  }
  return undefined;
}

function isFinal({ stop, blocks }: Choice): boolean {
  return stop === 'stop' && blocks.every(({ type }) => type === 'text' || type === 'reasoning');
}

/** The first text that conforms, or what is wrong with the first one. */
async function firstValid(
  found: readonly string[],
  { schema }: SchemaFormat,
  check: SchemaCheck,
): Promise<string | readonly string[]> {
  let errors: readonly string[] = [noJson];
  for (const [i, text] of found.entries()) {
    const verdict = await check(schema, text);
    if (verdict.type === 'valid') return text;
    if (verdict.type === 'unusable') throw unusable(verdict.why);
    if (i === 0) errors = verdict.errors;
  }
  return errors;
}

function firstObject(found: readonly string[]): string | readonly string[] {
  return found.find((text) => text.startsWith('{')) ?? [noJson];
}

const noJson = 'There is no complete JSON value in it.';

function textOf(blocks: readonly Block[]): string {
  let text = '';
  for (const block of blocks) if (block.type === 'text') text += block.text;
  return text;
}

/** What spoke of the text as it was (citations, log-probabilities) goes with it. */
function replaceText(choice: Choice, text: string): void {
  const others = choice.blocks.filter(({ type }) => type !== 'text');
  choice.blocks = [...others, { type: 'text', text }];
  delete choice.logprobs;
}

// Asking again

const maxErrors = 10;
const maxErrorChars = 300;
const maxQuotedChars = 100_000;

/** The turns that ask for it once more: what was said, and what is wrong with it. */
export function correctionOf({ text, errors }: Fault): Message[] {
  const listed = errors.slice(0, maxErrors).map((error) => `- ${error.slice(0, maxErrorChars)}`);
  const words = [
    'This answer is not what was asked for:',
    ...listed,
    'Answer again, with the corrected JSON value and nothing else.',
  ].join('\n');
  const said: Message = {
    role: 'assistant',
    blocks: [{ type: 'text', text: text.slice(0, maxQuotedChars) }],
  };
  const asked: Message = { role: 'user', blocks: [{ type: 'text', text: words }] };
  return text.trim() === '' ? [asked] : [said, asked];
}

/** Nobody's fault but the model's: others may do better, and the target is as healthy as before. */
export function notInForm(target: string, { errors }: Fault): GatewayError {
  const [first = ''] = errors;
  return new GatewayError(
    'upstream_invalid',
    `${target} did not answer in the form that was asked for, not even when told what was wrong. ${first.slice(0, maxErrorChars)}`,
    { blameless: true },
  );
}
