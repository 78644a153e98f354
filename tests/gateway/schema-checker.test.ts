/** Answers are checked against schemas that clients choose: rightly, and in bounded time whatever they choose. */
import { afterAll, describe, expect, test } from 'bun:test';
import type { Json } from '../../src/core/json.ts';
import { createSchemaChecker } from '../../src/gateway/schema-checker.ts';

const checker = createSchemaChecker();
afterAll(() => checker.stop());

const check = (schema: Json, value: unknown) => checker.check(schema, JSON.stringify(value));
const person: Json = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0 } },
  required: ['name', 'age'],
  additionalProperties: false,
};

test('a value that conforms is valid', async () => {
  expect(await check(person, { name: 'Ada', age: 36 })).toEqual({ type: 'valid' });
});

test('of one that does not, all that is wrong is told, each with its place', async () => {
  const verdict = await check(person, { name: 7, age: -1, more: true });
  expect(verdict).toEqual({
    type: 'invalid',
    errors: [
      expect.stringMatching(/^#\/name: .*string/),
      expect.stringMatching(/^#\/age: -1 is less than 0/),
      expect.stringMatching(/more/),
    ],
  });
});

test.each<[string, Json, unknown, string]>([
  ['definitions', { $defs: { a: { type: 'number' } }, items: { $ref: '#/$defs/a' } }, [1, 2], 'valid'],
  [
    'definitions that are broken',
    { $defs: { a: { type: 'number' } }, items: { $ref: '#/$defs/a' } },
    ['x'],
    'invalid',
  ],
  [
    'trees',
    { $ref: '#/$defs/n', $defs: { n: { properties: { next: { $ref: '#/$defs/n' } }, required: ['v'] } } },
    { v: 1, next: { v: 2, next: {} } },
    'invalid',
  ],
  [
    'tuples of draft 7',
    { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] },
    [1],
    'invalid',
  ],
  ['tuples', { prefixItems: [{ type: 'string' }] }, [1], 'invalid'],
  ['formats', { format: 'date' }, '2025-13-45', 'invalid'],
  ['yes', true, { any: 'thing' }, 'valid'],
  ['no', false, {}, 'invalid'],
])('knows %s', async (_, schema, value, type) => {
  expect((await check(schema, value)).type as string).toBe(type);
});

describe('a schema that cannot be used says so', () => {
  test.each<[string, Json]>([
    ['refers to nothing', { $ref: '#/$defs/nobody' }],
    ['refers elsewhere', { $ref: 'https://example.com/schema.json' }],
    ['refers to itself', { $ref: '#' }],
    ['has a pattern that is none', { type: 'string', pattern: '(' }],
    ['is a number', 7],
    ['has members of the wrong kind', { anyOf: 7 }],
  ])('%s', async (_, schema) => {
    expect(await check(schema, 'x')).toEqual({ type: 'unusable', why: expect.stringMatching(/./) });
  });
});

/** Each name refers twice to the next: 2^30 ways. */
function doubling(): Json {
  const $defs: { [name: string]: Json } = {};
  for (let i = 0; i < 30; i++) {
    const next = { $ref: `#/$defs/d${i + 1}` };
    $defs[`d${i}`] = { anyOf: [next, next] };
  }
  $defs.d30 = { type: 'number' };
  return { $ref: '#/$defs/d0', $defs };
}

describe('a schema made to be slow', () => {
  test.each<[string, Json]>([
    ['that backtracks', { type: 'string', pattern: '^(a+)+$' }],
    ['that multiplies', doubling()],
  ])('%s is given up, and the next one is checked all the same', async (_, schema) => {
    await check(person, {});
    const start = performance.now();
    const slow = check(schema, `${'a'.repeat(60)}!`);
    const next = check(person, { name: 'Ada', age: 36 });
    expect(await slow).toEqual({ type: 'unusable', why: expect.stringContaining('too long') });
    expect(await next).toEqual({ type: 'valid' });
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
