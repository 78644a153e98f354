/** JSON is found in whatever models put around it. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { findJson } from '../../src/gateway/find-json.ts';

const json = '{"a":"} ] ``` \\" {","b":[1,{"c":null}]}';

test.each<[string, string]>([
  ['bare', json],
  ['with white space around', `\n\n  ${json}\n`],
  ['in a fence', `\`\`\`json\n${json}\n\`\`\``],
  ['in a fence without a word', `\`\`\`\n${json}\n\`\`\``],
  ['in a fence between words', `Here you are:\n\`\`\`JSON \r\n${json}\r\n\`\`\`\nAnything else?`],
  ['in a fence that begins with words', `\`\`\`\nresult: ${json}\n\`\`\``],
  ['behind words', `Sure! Here is the JSON: ${json}`],
  ['before words', `${json}\n\nI hope this helps {smile}.`],
  ['behind thoughts with brackets', `<think>Let S = {x | x > 0} [1].</think>\n${json}`],
  ['behind a bracket that never closes', `[note: see below\n${json}`],
])('%s', (_, text) => {
  expect(findJson(text)).toContain(json);
});

test('the first of several comes first', () => {
  expect(findJson('{"a":1} and {"b":2} and {"a":1}')).toEqual(['{"a":1}', '{"b":2}']);
  expect(findJson('```json\n{"b":2}\n```\nrather than {"a":1}')[0]).toBe('{"b":2}');
});

test('a number or a text is JSON only by itself', () => {
  expect(findJson('42')).toEqual(['42']);
  expect(findJson('"yes"')).toEqual(['"yes"']);
  expect(findJson('The answer is 42')).toEqual([]);
});

test.each(['', '   ', 'no', '{', '{"a":', '[1, 2', '{"a":1]', '}{', '```json\n{"a":\n```'])(
  'none in %p',
  (text) => {
    expect(findJson(text)).toEqual([]);
  },
);

test('what is found is JSON, whatever the text', () => {
  const bracket = fc.constantFrom('{', '}', '[', ']', '"', '\\', '```', '\n', 'a', '1', ':', ',', '{"a":1}');
  fc.assert(
    fc.property(fc.array(bracket, { maxLength: 60 }), (parts) => {
      for (const text of findJson(parts.join(''))) JSON.parse(text);
    }),
    { seed: 5, numRuns: 2000 },
  );
});

describe('a text made to be slow', () => {
  test.each<[string, string]>([
    ['of opening brackets', '{'.repeat(1_000_000)],
    ['of lists in lists', '['.repeat(200_000)],
    ['of fences', '```\n'.repeat(200_000)],
    ['of fences that begin', '```json\n{'.repeat(100_000)],
    ['of a string without end', `{"${'a'.repeat(1_000_000)}`],
  ])('%s is given up soon', (_, text) => {
    const start = performance.now();
    findJson(text);
    expect(performance.now() - start).toBeLessThan(1500);
  });
});
