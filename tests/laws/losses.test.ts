/** Every loss is named: what a translated request does not say is among its losses, whatever member it is. */
import { describe, expect, test } from 'bun:test';
import { isObject, type JsonObject } from '../../src/core/json.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { hostsOf } from './hosts.ts';
import { askings, requests } from './samples.ts';
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
import { goesWithoutSaying } from './usual.ts';
import { throwsKind } from './verdict.ts';

/** A request has at most so many members tried; one recording holds a thousand. */
const mostTries = 300;

for (const [from, to] of [...askings, ...clientDialects.map((each) => [each, each] as const)]) {
  // A provider of the client's own dialect may still differ from it.
  const hosts = hostsOf(to.name).filter(({ quirks }) => from !== to || hasQuirks(quirks));
  const asked = requests.filter(
    ({ dialect, content }) => dialect === from && throwsKind(() => from.readRequest(content)) === undefined,
  );
  describe(`a call in ${from.name}`, () => {
    hosts.forEach(({ name: host, quirks }, place) => {
      test(`to ${host} in ${to.name} names what it does not say`, () => {
        const way = { from, to, quirks };
        // Every fixture goes to every host; of the recordings, which are many and long, each goes to one.
        const sent = asked.filter(({ fixture }, i) => fixture || i % hosts.length === place);
        const found = sent.flatMap(({ name, content }) => {
          const body = sayable(content, way);
          return body === undefined ? [] : unnamed(body, way).map((fault) => `${name}: ${fault}`);
        });
        expect(found).toEqual([]);
      });
    });
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
    const { refusal } = translate(less, way);
    // What is left must still make sense: a choice among no tools does not.
    if (refusal?.message !== message && refusal?.kind !== 'bad_request') return less;
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
    if (shorter.refusal !== undefined || !sameCall(whole, shorter)) return true;
    if (Bun.deepEquals(losses(whole), losses(shorter)) && !endsWith(whole.lost, lossOf(path, body))) {
      found.push(`${spell(path)}: ${JSON.stringify(value).slice(0, 60)}`);
    }
    return false;
  });
  return found;
}

function sameCall(one: Translation, other: Translation): boolean {
  return one.path === other.path && Bun.deepEquals(one.body, other.body);
}

/** Without positions: leaving out one of a list moves all that follow. */
function losses({ lost }: Translation): string[] {
  return lost.map((path) => path.replace(/\[\d+\]/g, '[]')).sort();
}

function endsWith(lost: readonly string[], name: string): boolean {
  return lost.some((path) => path === name || path.endsWith(`.${name}`));
}

/** Members that together say how to reason: one loss. */
const reasoning = /^(thinking|output_config(\.effort)?|reasoning(\.effort)?)$/;

/** The name a member's loss goes by: a vendor's state has one, whatever it is made of. */
function lossOf(path: Path, body: JsonObject): string {
  const name = String(path.at(-1));
  if (reasoning.test(spell(path))) return 'reasoning';
  const beside = valueAt(body, path.slice(0, -1));
  const state = isObject(beside) && beside.type === 'reasoning' && ['id', 'encrypted_content'].includes(name);
  return state ? 'signature' : name;
}
