/** Formats that a model has no switch for are asked for in words, and answers are left with what was asked for. */
import { afterAll, describe, expect, test } from 'bun:test';
import type { Block, ChatRequest, ChatResponse, Choice, Message, OutputFormat } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import type { Json } from '../../src/core/json.ts';
import type { Expressible } from '../../src/core/loss.ts';
import { dialects } from '../../src/dialects/index.ts';
import { checkForm, correctionOf, instruct, notInForm } from '../../src/gateway/by-instruction.ts';
import { createSchemaChecker } from '../../src/gateway/schema-checker.ts';

/** Dialects with a switch for JSON of any kind. */
const hasSwitch = ['openai-chat', 'openai-responses', 'gemini', 'cohere-v2', 'ollama'];

const none: ReadonlySet<string> = new Set();
const can = (formats?: OutputFormat['type'][]): Expressible => ({
  params: new Set(formats?.length === 0 ? [] : ['format']),
  media: none,
  toolResultMedia: none,
  meaning: none,
  ...(formats === undefined ? {} : { formats: new Set(formats) }),
});

const schema: Json = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
const list: Json = { type: 'array', items: { type: 'string' } };
const json: OutputFormat = { type: 'json' };
const said = (role: Message['role'], text: string, more: Partial<Message> = {}): Message => ({
  role,
  blocks: [{ type: 'text', text }],
  ...more,
});
const ask = (format: OutputFormat | undefined, messages = [said('user', 'Hi')]): ChatRequest => ({
  dialect: 'openai-chat',
  model: 'm',
  messages,
  stream: false,
  ...(format === undefined ? {} : { format }),
});
const textOf = ({ blocks }: Message): string =>
  blocks.map((block) => (block.type === 'text' ? block.text : '')).join('|');

describe('a request', () => {
  test('that asks for nothing, or for what the target has a switch for, is left alone', () => {
    expect(instruct(ask(undefined), can(), {})).toBeUndefined();
    expect(instruct(ask(json), can(), {})).toBeUndefined();
    expect(instruct(ask({ type: 'schema', schema }), can(), {})).toBeUndefined();
    expect(instruct(ask({ type: 'schema', schema }), can(['schema']), {})).toBeUndefined();
    expect(instruct(ask(json), can(), { noJsonSchema: true })).toBeUndefined();
  });

  test('has the schema among its instructions otherwise, in a message of their own where there were none', () => {
    const format: OutputFormat = { type: 'schema', schema, description: 'a person' };
    const bare = instruct(ask(format), can([]), {})!;
    expect(bare.request.format).toBeUndefined();
    expect(bare.form).toBe(format);
    expect(bare.first).toBe(true);
    expect(bare.request.messages.map(({ role }) => role)).toEqual(['system', 'user']);
    expect(textOf(bare.request.messages[0]!)).toContain(JSON.stringify(schema));
    expect(textOf(bare.request.messages[0]!)).toContain('a person');

    const before = [said('system', 'Be terse.', { extra: { role: 'developer' } }), said('user', 'Hi')];
    const told = instruct(ask(format, before), can([]), {})!;
    expect(told.first).toBe(false);
    expect(told.request.messages).toHaveLength(2);
    expect(told.request.messages[0]?.extra).toEqual({ role: 'developer' });
    expect(textOf(told.request.messages[0]!)).toMatch(/^Be terse\.\n\nAnswer with one JSON value/);
    expect(before[0]).toEqual(said('system', 'Be terse.', { extra: { role: 'developer' } }));
  });

  test('keeps instructions that are marked for a cache as they are, and adds its own behind them', () => {
    const marked: Block = {
      type: 'text',
      text: 'Be terse.',
      extra: { cache_control: { type: 'ephemeral' } },
    };
    const { request } = instruct(ask(json, [{ role: 'system', blocks: [marked] }]), can([]), {})!;
    expect(request.messages[0]?.blocks).toEqual([
      marked,
      { type: 'text', text: expect.stringContaining('JSON') },
    ]);
  });

  test('falls back on the switch for JSON of any kind where there is one, for objects', () => {
    const quirks = { noJsonSchema: true };
    expect(instruct(ask({ type: 'schema', schema }), can(), quirks)?.request.format).toEqual(json);
    expect(instruct(ask({ type: 'schema', schema: list }), can(), quirks)?.request.format).toBeUndefined();
    expect(
      instruct(ask({ type: 'schema', schema }), can(['schema']), quirks)?.request.format,
    ).toBeUndefined();
  });

  test('is asked in words where a schema goes as a tool, which takes objects only', () => {
    const quirks = { schemaByTool: true };
    expect(instruct(ask({ type: 'schema', schema }), can(), quirks)).toBeUndefined();
    expect(instruct(ask({ type: 'schema', schema: list }), can(), quirks)?.form).toEqual({
      type: 'schema',
      schema: list,
    });
  });

  test('for JSON of any kind is asked in words where a dialect has no switch for it', () => {
    for (const { name, can: means } of dialects.values()) {
      const told = instruct(ask(json), means, {});
      expect({ name, asked: told !== undefined }).toEqual({ name, asked: !hasSwitch.includes(name) });
    }
  });

  test.each<[string, Json]>([
    [
      'too large',
      {
        type: 'object',
        properties: { a: { enum: Array.from({ length: 9000 }, (_, i) => `${'x'.repeat(30)}${i}`) } },
      },
    ],
    ['too deep', Array.from({ length: 100 }).reduce<Json>((inner) => ({ items: inner }), {})],
  ])('with a schema that is %s is refused', (what, schema) => {
    try {
      instruct(ask({ type: 'schema', schema }), can([]), {});
    } catch (error) {
      expect(error).toBeInstanceOf(GatewayError);
      expect(error).toMatchObject({ kind: 'bad_request', detail: { param: 'response_format' } });
      expect((error as Error).message).toContain(what === 'too large' ? 'larger than' : 'levels deep');
      return;
    }
    throw new Error('It was accepted.');
  });
});

describe('an answer', () => {
  const checker = createSchemaChecker();
  afterAll(() => checker.stop());
  const answer = (...choices: Partial<Choice>[]): ChatResponse => ({
    dialect: 'openai-chat',
    id: '',
    model: 'm',
    choices: choices.map((choice, index) => ({ index, blocks: [], stop: 'stop', ...choice })),
  });
  const blocks = (text: string): Block[] => [{ type: 'text', text }];
  const format: OutputFormat = { type: 'schema', schema };

  test('is left with the JSON alone, and with what was thought before it', async () => {
    const thought: Block = { type: 'reasoning', text: 'hm' };
    const given = answer({
      blocks: [...blocks('Sure:\n'), thought, ...blocks('```json\n{"name": "Ada"}\n```')],
      logprobs: {},
    });
    expect(await checkForm(given, format, checker.check)).toBeUndefined();
    expect(given.choices[0]).toEqual({
      index: 0,
      blocks: [thought, ...blocks('{"name": "Ada"}')],
      stop: 'stop',
    });
  });

  test('that is right stays as it is', async () => {
    const given = answer({ blocks: blocks('{"name":"Ada"}'), logprobs: { content: [] } });
    const before = structuredClone(given);
    expect(await checkForm(given, format, checker.check)).toBeUndefined();
    expect(given).toEqual(before);
  });

  test('may have the right value behind a wrong one', async () => {
    const given = answer({ blocks: blocks('Not {"title":"x"} but {"name":"Ada"}.') });
    expect(await checkForm(given, format, checker.check)).toBeUndefined();
    expect(given.choices[0]?.blocks).toEqual(blocks('{"name":"Ada"}'));
  });

  test('that is wrong is told what is wrong with it', async () => {
    const fault = await checkForm(answer({ blocks: blocks('{"name":7}') }), format, checker.check);
    expect(fault).toEqual({ text: '{"name":7}', errors: [expect.stringContaining('#/name')] });
    expect(await checkForm(answer({ blocks: blocks('I cannot.') }), format, checker.check)).toMatchObject({
      errors: [expect.stringContaining('no complete JSON')],
    });
    const second = answer({ blocks: blocks('{"name":"Ada"}') }, { blocks: blocks('{}') });
    expect(await checkForm(second, format, checker.check)).toMatchObject({ text: '{}' });
  });

  test.each<[string, Partial<Choice>]>([
    ['ran into a limit', { blocks: blocks('{"na'), stop: 'length' }],
    ['hit a stop sequence', { blocks: blocks('{"na'), stop: 'stop_sequence' }],
    ['is a refusal', { blocks: [{ type: 'refusal', text: 'No.' }] }],
    ['was filtered', { blocks: blocks('{'), stop: 'content_filter' }],
    [
      'calls a tool',
      { blocks: [{ type: 'tool-call', id: 'c', name: 'f', input: '{}' }], stop: 'tool_calls' },
    ],
  ])('that %s is not judged', async (_, choice) => {
    const given = answer(choice);
    const before = structuredClone(given);
    expect(await checkForm(given, format, checker.check)).toBeUndefined();
    expect(given).toEqual(before);
  });

  test('without a schema has to be an object', async () => {
    const given = answer({ blocks: blocks('Here: [1] {"a":1}') });
    expect(await checkForm(given, json, checker.check)).toBeUndefined();
    expect(given.choices[0]?.blocks).toEqual(blocks('{"a":1}'));
    for (const text of ['[1]', '42', 'no']) {
      expect(await checkForm(answer({ blocks: blocks(text) }), json, checker.check)).toMatchObject({ text });
    }
  });

  test("cannot be checked against a schema that is none: that is the client's to mend", async () => {
    const broken: OutputFormat = { type: 'schema', schema: { $ref: '#/$defs/x' } };
    const failure = await checkForm(answer({ blocks: blocks('{}') }), broken, checker.check).catch(
      (error) => error,
    );
    expect(failure).toMatchObject({ kind: 'bad_request', detail: { param: 'response_format' } });
  });
});

describe('a correction', () => {
  test('repeats what was said and lists what is wrong, within bounds', () => {
    const errors = Array.from({ length: 50 }, (_, i) => `#/${i}: ${'x'.repeat(1000)}`);
    const [repeated, asked, ...others] = correctionOf({ text: '{"name":7}', errors });
    expect(others).toEqual([]);
    expect(repeated).toEqual(said('assistant', '{"name":7}'));
    expect(asked?.role).toBe('user');
    expect(textOf(asked!)).toContain('- #/0: ');
    expect(textOf(asked!).length).toBeLessThan(5000);
  });

  test('of nothing repeats nothing', () => {
    expect(correctionOf({ text: ' ', errors: ['x'] }).map(({ role }) => role)).toEqual(['user']);
  });

  test("that did not help is nobody's fault, and worth another target", () => {
    const error = notInForm('acme/m', { text: '', errors: ['#/name: wrong'] });
    expect(error).toMatchObject({ kind: 'upstream_invalid', retry: true, blame: false, status: 502 });
    expect(error.message).toContain('#/name: wrong');
  });
});
