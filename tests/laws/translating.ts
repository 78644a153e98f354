/** Renders a request of one dialect in another, as the gateway does, but keeps what it finds lost. */
import { GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { adaptRequest } from '../../src/gateway/adapt.ts';
import { isVerbatim } from './verbatim.ts';

/** From whose words into whose. */
export interface Way {
  from: Dialect;
  to: Dialect;
  quirks: Quirks;
}

export interface Translation {
  /** Undefined where the target cannot say it. */
  body: Json | undefined;
  /** Where it is posted to, and how often: some dialects say there what others say in the body. */
  path: string;
  refusal: GatewayError | undefined;
  lost: string[];
  /** How many such calls the gateway makes of one. */
  copies: number;
}

/** @throws GatewayError `bad_request` when `body` is no request of `from`. */
export function translate(body: JsonObject, { from, to, quirks }: Way): Translation {
  const asked = from.readRequest(structuredClone(body));
  // The target's name for it is set by the gateway, also where the path and not the body names it.
  asked.model ||= 'any';
  try {
    const { request, copies } = adaptRequest(asked, to.can, quirks, from === to);
    const lost = requireMeaning(foreign(request, to.name, to.can, from.can), to.name);
    const written = JSON.stringify(to.writeRequest(request, quirks, lost));
    const path = `${to.path(request.model, request.stream)} ×${copies}`;
    return { body: JSON.parse(written), path, refusal: undefined, lost, copies };
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    return { body: undefined, path: '', refusal: thrown, lost: [], copies: 1 };
  }
}

export type Path = (string | number)[];

/**
 * Every member of every object in `value` that says something, and every element of every list, outer ones first.
 * @param enter whether to go on with what is inside of a path.
 */
export function walk(value: Json | undefined, enter: (path: Path) => boolean, path: Path = []): void {
  if (typeof value !== 'object' || value === null) return;
  const entries: [string | number, Json | undefined][] = Array.isArray(value)
    ? value.map((each, i) => [i, each])
    : Object.entries(value);
  for (const [name, member] of entries) {
    if (member === null || member === undefined) continue;
    const here = [...path, name];
    if (enter(here) && !isVerbatim(name, path.length)) walk(member, enter, here);
  }
}

export function without(body: JsonObject, path: Path): JsonObject {
  const copy = structuredClone(body);
  let holder: unknown = copy;
  for (const name of path.slice(0, -1)) holder = (holder as Record<string | number, unknown>)[name];
  const last = path.at(-1)!;
  if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete (holder as Record<string | number, unknown>)[last];
  return copy;
}

export function valueAt(body: JsonObject, path: Path): unknown {
  let value: unknown = body;
  for (const name of path) value = (value as Record<string | number, unknown>)[name];
  return value;
}

export function spell(path: Path): string {
  return path
    .map((name) => (typeof name === 'number' ? `[${name}]` : `.${name}`))
    .join('')
    .replace(/^\./, '');
}
