import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { JsonSyntaxError, scanElements, scanMembers, splice, valueText } from '../../src/wire/splice.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);
const edit = (body: string, edits: Record<string, string | undefined>) =>
  text(splice(bytes(body), scanMembers(bytes(body)), edits));

describe('scanning the top level', () => {
  test('finds every member with its exact value', () => {
    const body = bytes(' {"model" : "gpt","n":1.50e3 ,"a":[{"b":"}]\\""}],"t":true,"z":null} \n');
    expect(scanMembers(body).map((m) => [m.name, valueText(body, m)])).toEqual([
      ['model', '"gpt"'],
      ['n', '1.50e3'],
      ['a', '[{"b":"}]\\""}]'],
      ['t', 'true'],
      ['z', 'null'],
    ]);
  });

  test('reads names that are escaped, and long strings with escaped quotes and slashes', () => {
    const long = `${'x'.repeat(100)}\\"${'y'.repeat(100)}\\\\`;
    const body = bytes(`{"mod\\u0065l":"${long}","b":"é🌍"}`);
    expect(scanMembers(body).map((m) => [m.name, valueText(body, m)])).toEqual([
      ['model', `"${long}"`],
      ['b', '"é🌍"'],
    ]);
  });

  test.each([
    ['', 'expected a JSON object'],
    ['[]', 'expected a JSON object'],
    ['{"a":1', 'expected "," or "}"'],
    ['{"a":', 'a value is missing'],
    ['{"a":1}x', 'unexpected text'],
    ['{a:1}', 'member name'],
    ['{"a":"b', 'not closed'],
    ['{"a":[1,{"b":2}', 'before all brackets are closed'],
    ['{"a":tru}', 'not a JSON value'],
    ['{"a":1,}', 'member name'],
    ['{"a" 1}', 'expected ":"'],
  ])('refuses %p saying where', (body, why) => {
    expect(() => scanMembers(bytes(body))).toThrow(why);
    expect(() => scanMembers(bytes(body))).toThrow(JsonSyntaxError);
  });

  test('agrees with JSON.parse on every object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(3), (object, indent) => {
        const body = bytes(JSON.stringify(object, null, indent));
        const read = Object.fromEntries(
          scanMembers(body).map((m) => [m.name, JSON.parse(valueText(body, m))]),
        );
        expect(read).toEqual(JSON.parse(text(body)));
      }),
    );
  });
});

describe('scanning a list', () => {
  const elements = (text: string) =>
    scanElements(Buffer.from(text)).map((each) => Buffer.from(each).toString());

  test('finds its elements as they stand', () => {
    expect(elements(' [ {"a":[1,2]} ,"x,]", 3e2,null,[ ] ] ')).toEqual([
      '{"a":[1,2]}',
      '"x,]"',
      '3e2',
      'null',
      '[ ]',
    ]);
    expect(elements('[]')).toEqual([]);
    expect(elements('[ \n]')).toEqual([]);
  });

  test.each(['{}', '[1', '[1,]', '[,1]', '[1 2]', '[1]x', '["a]', '[{]', ''])('%s is none', (text) => {
    expect(() => elements(text)).toThrow(JsonSyntaxError);
  });

  test('agrees with a parser', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (list) => {
        expect(elements(JSON.stringify(list)).map((each) => JSON.parse(each))).toEqual(
          JSON.parse(JSON.stringify(list)),
        );
      }),
    );
  });
});

describe('splicing', () => {
  test('replaces a value and leaves every other byte alone', () => {
    expect(edit('{ "seed": 9033012299842426001,  "model": "a", "x": [1, 2] }', { model: '"b"' })).toBe(
      '{"seed": 9033012299842426001,"model": "b","x": [1, 2]}',
    );
  });

  test('removes, adds, and does both at once', () => {
    expect(edit('{"a":1,"b":2,"c":3}', { a: undefined, c: undefined, d: '[4]' })).toBe('{"b":2,"d":[4]}');
    expect(edit('{}', { a: '1' })).toBe('{"a":1}');
    expect(edit('{"a":1}', { a: undefined })).toBe('{}');
  });

  test('keeps one of duplicated names, so that no parser can read another value', () => {
    expect(edit('{"model":"a","x":1,"model":"c"}', { model: '"b"' })).toBe('{"model":"b","x":1}');
  });

  test('means the same as editing the parsed object', () => {
    const value = fc.option(fc.jsonValue(), { nil: undefined });
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), value),
        (object, edits) => {
          const wire: Record<string, string | undefined> = Object.create(null);
          for (const [name, v] of Object.entries(edits))
            wire[name] = v === undefined ? undefined : JSON.stringify(v);
          const expected = JSON.parse(JSON.stringify({ ...object, ...edits }));
          expect(JSON.parse(edit(JSON.stringify(object), wire))).toEqual(expected);
        },
      ),
    );
  });
});
