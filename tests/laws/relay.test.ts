/** A call asks the same whether its bytes are relayed or written anew, whatever the host's quirks. */
import { describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../src/core/json.ts';
import { type ClientDialect, isClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { scanMembers, splice } from '../../src/wire/splice.ts';
import { hostsOf } from './hosts.ts';
import { normalForm } from './normal-form.ts';
import { requests, responses } from './samples.ts';
import { throwsKind } from './verdict.ts';

interface Asked {
  body: JsonObject;
  lost: string[];
}

for (const dialect of clientDialects) {
  const asked = requests.filter(
    (sample) =>
      sample.dialect === dialect && throwsKind(() => dialect.readRequest(sample.content)) === undefined,
  );
  describe(`a relayed call in ${dialect.name}`, () => {
    for (const { name: host, quirks } of hostsOf(dialect.name)) {
      test(`to ${host} asks what a rewritten one asks`, () => {
        for (const { name, content } of asked) {
          const relayed = relay(content, dialect, quirks);
          if (relayed === undefined) continue;
          const rewritten = rewrite(content, dialect, quirks);
          const said = { name, body: normalForm(relayed.body, dialect), lost: named(relayed.lost, content) };
          expect(said).toEqual({
            name,
            body: normalForm(rewritten.body, dialect),
            lost: named(rewritten.lost, content),
          });
        }
      });
    }
  });
}

/** Losses that are some, in one spelling: leaving out null or 1, the default of what samples, changes nothing. */
function named(lost: readonly string[], content: JsonObject): string[] {
  return lost
    .map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
    .filter((name) => (content[name] ?? 1) !== 1)
    .sort();
}

/** Undefined where the dialect says that the body has to be rewritten. */
function relay(content: JsonObject, dialect: ClientDialect, quirks: Quirks): Asked | undefined {
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  const members = scanMembers(bytes);
  const plan = dialect.planRelay(bytes, members, content.stream === true, quirks);
  if (plan === undefined) return undefined;
  const body: JsonObject = JSON.parse(new TextDecoder().decode(splice(bytes, members, plan.edits)));
  return { body, lost: plan.lost };
}

function rewrite(content: JsonObject, dialect: ClientDialect, quirks: Quirks): Asked {
  const lost: string[] = [];
  const request = dialect.readRequest(content);
  const body = dialect.writeRequest({ ...request, streamUsage: request.stream }, quirks, lost);
  return { body: JSON.parse(JSON.stringify(body)), lost };
}

describe('the usage of a relayed answer', () => {
  for (const { name, dialect, quirks, content } of responses) {
    if (!isClientDialect(dialect)) continue;
    if (throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) continue;
    test(`is that of the answer, read from its top level alone: ${name}`, () => {
      const top = { ...content };
      const { countedContent } = dialect;
      const counted = countedContent !== undefined && JSON.stringify(content).includes(countedContent);
      for (const member of dialect.contentMembers) {
        if (member in top && !counted) delete top[member];
      }
      expect(dialect.readUsage(top, quirks)).toEqual(dialect.readResponse(content, quirks).usage);
      expect(dialect.contentMembers.some((member) => member in content)).toBeTrue();
    });
  }
});
