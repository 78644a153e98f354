/** Every loss is named: what a translated request does not say is among its losses, whatever member it is. */
import { describe, expect, test } from 'bun:test';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { hostsOf } from './hosts.ts';
import { requests, translations } from './samples.ts';
import {
  type Path,
  spell,
  type Translation,
  translate,
  valueAt,
  type Way,
  walk,
  without,
} from './translating.ts';
import { throwsKind } from './verdict.ts';

/** A request has at most so many members tried; one recording holds a thousand. */
const mostTries = 300;

for (const [from, to] of [...translations, ...[...dialects.values()].map((each) => [each, each] as const)]) {
  // A provider of the client's own dialect may still differ from it.
  const hosts = hostsOf(to.name).filter(({ quirks }) => from !== to || hasQuirks(quirks));
  const asked = requests.filter(
    ({ dialect, content }) => dialect === from && throwsKind(() => from.readRequest(content)) === undefined,
  );
  describe(`a call in ${from.name}`, () => {
    for (const { name: host, quirks } of hosts) {
      test(`to ${host} in ${to.name} names what it does not say`, () => {
        const way = { from, to, quirks };
        const found = asked.flatMap(({ name, content }) => {
          const body = sayable(content, way);
          return body === undefined ? [] : unnamed(body, way).map((fault) => `${name}: ${fault}`);
        });
        expect(found).toEqual([]);
      });
    }
  });
}

function hasQuirks({ defaultMaxTokens: _, ...others }: Quirks): boolean {
  return Object.keys(others).length > 0;
}

/** `body` without the parts that `to` has no way to say; undefined when nothing can be left out to make it so. */
function sayable(body: JsonObject, way: Way): JsonObject | undefined {
  let rest = body;
  for (let tries = 0; tries < 20; tries++) {
    const { refusal } = translate(rest, way);
    if (refusal === undefined) return rest;
    expect(refusal.kind).toBe('unsupported');
    expect(refusal.detail.param).toBeString();
    const less = culprit(rest, refusal.message, way);
    if (less === undefined) return undefined;
    rest = less;
  }
  return undefined;
}

/** `body` without the smallest part that makes `message` go away. */
function culprit(body: JsonObject, message: string, way: Way): JsonObject | undefined {
  const paths: Path[] = [];
  walk(body, (path) => paths.push(path) > 0);
  paths.sort((a, b) => b.length - a.length);
  for (const path of paths) {
    const less = without(body, path);
    if (throwsKind(() => way.from.readRequest(less)) !== undefined) continue;
    if (translate(less, way).refusal?.message !== message) return less;
  }
  return undefined;
}

function unnamed(body: JsonObject, way: Way): string[] {
  const whole = translate(body, way);
  const found: string[] = [];
  let tries = 0;
  walk(body, (path) => {
    const value = valueAt(body, path);
    if (goesWithoutSaying(path, value, body) || tries++ > mostTries) return false;
    const less = without(body, path);
    // What the reader insists on may still have members that it does not.
    if (throwsKind(() => way.from.readRequest(less)) !== undefined) return true;
    const shorter = translate(less, way);
    if (shorter.refusal !== undefined || !Bun.deepEquals(whole.body, shorter.body)) return true;
    if (Bun.deepEquals(losses(whole), losses(shorter)) && !endsWith(whole.lost, String(path.at(-1)))) {
      found.push(`${spell(path)}: ${JSON.stringify(value).slice(0, 60)}`);
    }
    return false;
  });
  return found;
}

/** Without positions: leaving out one of a list moves all that follow. */
function losses({ lost }: Translation): string[] {
  return lost.map((path) => path.replace(/\[\d+\]/g, '[]')).sort();
}

function endsWith(lost: readonly string[], name: string): boolean {
  return lost.some((path) => path.endsWith(`.${name}`));
}

/** Members that say what holds without them, as the end of their path. */
const defaults: readonly [string, Json, string][] = [
  ['stream', false, 'whole answers are the default'],
  ['n', 1, 'one answer is the default'],
  ['is_error', false, 'results are no errors'],
  ['parallel_tool_calls', true, 'models may call as many as they like'],
  ['type', 'function', 'tools are functions where nothing else is said'],
  ['tools', [], 'no tools'],
  ['content', '', 'nothing said'],
  ['input', {}, 'a call without arguments'],
  ['arguments', '{}', 'a call without arguments'],
  ['input_schema', { type: 'object', properties: {} }, 'a tool without parameters'],
  ['parameters', { type: 'object', properties: {} }, 'a tool without parameters'],
  ['reasoning_effort', 'none', 'models with a budget do not reason unless asked'],
  ['description', '', 'nothing said'],
  ['reasoning_content', '', 'nothing said'],
  ['content', [], 'nothing said'],
  ['temperature', 1, 'the default'],
  ['top_p', 1, 'all tokens are the default'],
  ['index', 0, 'the place in the list says it'],
  [
    'stream_options',
    { include_usage: true },
    'the gateway itself asks for usage, and gives it to those who want it',
  ],
];

/** A label, and a promise that is always kept elsewhere. */
const meaningless = /json_schema\.(name|strict)$/;

/** Hosts tell the same thoughts under two names. */
const thoughts: readonly unknown[] = ['reasoning', 'reasoning_content'];

function goesWithoutSaying(path: Path, value: unknown, body: JsonObject): boolean {
  const name = path.at(-1);
  if (defaults.some(([member, usual]) => member === name && Bun.deepEquals(usual, value))) return true;
  if (meaningless.test(spell(path))) return true;
  const beside = valueAt(body, path.slice(0, -1));
  if (thoughts.includes(name) && isObject(beside) && thoughts.every((each) => String(each) in beside))
    return true;
  // A choice of allowed tools says of the others that they are not there.
  return path[0] === 'tools' && isObject(body.tool_choice) && body.tool_choice.type === 'allowed_tools';
}
