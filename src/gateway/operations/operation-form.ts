/** The body of an operation beside chat: JSON or a form, and the same with another model's name in it. */
import type { Target } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/error.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Ask, FormFile, Operation } from '../../dialects/operations/operation.ts';
import { utf8 } from '../../wire/bytes.ts';
import { boundaryOf, MultipartError, type Part, replacePart, scanParts } from '../../wire/multipart.ts';
import { type Member, splice } from '../../wire/splice.ts';
import { checkModel, readModel, scan, wrong } from '../body.ts';
import { parseObject } from '../render.ts';

/** A body as it came. */
export interface Form {
  ask: Ask;
  body: Uint8Array;
  contentType: string | undefined;
  /** The same body with another model's name in it. */
  withModel(target: Target): Uint8Array;
}

/** @throws GatewayError `bad_request`. */
export function readForm(body: Uint8Array, contentType: string, operation: Operation): Form {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined && operation.form === 'only') {
    throw new GatewayError('bad_request', `${operation.clientPath} takes a form: send multipart/form-data.`);
  }
  if (boundary !== undefined && operation.form === 'never') {
    throw new GatewayError('bad_request', `${operation.clientPath} takes JSON, not ${contentType}.`);
  }
  return boundary === undefined ? readJson(body) : readMultipart(body, boundary, contentType);
}

function readJson(body: Uint8Array): Form {
  const parts: Member[] = scan(body);
  const named = parts.filter(({ name }) => name === 'model');
  const model = onlyOne(named.map((member) => readModel(body, member)));
  const members = parseObject(body);
  const stream = members.stream === true || members.stream_format === 'sse';
  return {
    ask: { model, stream, members, files: [] },
    body,
    contentType: undefined,
    withModel: ({ modelJson }) => splice(body, parts, { model: modelJson }),
  };
}

function readMultipart(body: Uint8Array, boundary: string, contentType: string): Form {
  const parts = scanForm(body, boundary);
  const fields = parts.filter(({ filename }) => filename === undefined);
  const contentOf = ({ start, end }: Part): string => utf8(body, start, end);
  const named = fields.filter(({ name }) => name === 'model');
  const model = onlyOne(named.map(contentOf));
  const members = readFields(fields.map((part) => [part.name, contentOf(part)]));
  const files = parts
    .filter(({ filename }) => filename !== undefined)
    .map(({ name, start, end }): FormFile => ({ name: plain(name), bytes: body.subarray(start, end) }));
  return {
    ask: { model, stream: members.stream === 'true', members, files },
    body,
    contentType,
    withModel: (target) => replacePart(body, named[0]!, target.model),
  };
}

function scanForm(body: Uint8Array, boundary: string): Part[] {
  try {
    return scanParts(body, boundary);
  } catch (error) {
    if (!(error instanceof MultipartError)) throw error;
    throw new GatewayError('bad_request', `The request body must be a form: ${error.message}.`);
  }
}

/** Parsers differ in which of two they believe; a gateway that decides by model must not guess. */
function onlyOne(models: readonly string[]): string {
  const [model] = models;
  if (models.length > 1) throw wrong('model', 'is given twice; give it once');
  if (model === undefined) throw wrong('model', 'is missing: name a model, for example "mock/echo"');
  return checkModel(model);
}

/** Fields named `x[]`, or the same more than once, are a list. */
function readFields(fields: readonly (readonly [name: string, text: string])[]): JsonObject {
  const found = new Map<string, Json>();
  for (const [name, text] of fields) {
    const key = plain(name);
    const before = found.get(key);
    if (before === undefined && !name.endsWith('[]')) found.set(key, text);
    else found.set(key, [before ?? [], text].flat());
  }
  return Object.fromEntries(found);
}

function plain(name: string): string {
  return name.endsWith('[]') ? name.slice(0, -2) : name;
}
