/** Tools keep their names and calls their ids for the client, whatever a target makes of them. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Block, ChatRequest, ToolCallBlock, ToolResultBlock } from '../../src/core/chat.ts';
import { fitToolWords, fitWord, restoreBlock } from '../../src/core/tool-words.ts';
import { dialects } from '../../src/dialects/index.ts';

/** Forms that dialects and hosts have or could have. */
const forms: Record<string, RegExp> = {
  short: /^[a-zA-Z0-9_-]{1,64}$/,
  long: /^[a-zA-Z0-9_-]{1,128}$/,
  unbounded: /^[a-zA-Z0-9_-]+$/,
  'nine letters or digits': /^[A-Za-z0-9]{9}$/,
  'any forty characters': /^[\s\S]{1,40}$/,
  'a letter first': /^[a-zA-Z][a-zA-Z0-9_.:-]{0,63}$/,
};

/** Words as clients choose them: with dots, colons, slashes, other scripts, spaces, very long ones. */
const words = fc.oneof(
  fc.stringMatching(/^[a-z_]{1,8}([./:][a-zA-Z0-9_-]{1,12}){0,4}$/),
  fc.string({ unit: 'grapheme', minLength: 0, maxLength: 200 }),
);

const call = (id: string, name: string): ToolCallBlock => ({ type: 'tool-call', id, name, input: '{}' });
const result = (callId: string, name?: string): ToolResultBlock => ({
  type: 'tool-result',
  callId,
  ...(name === undefined ? {} : { name }),
  blocks: [],
});

function requestOf(names: string[], ids: string[] = [], more: Partial<ChatRequest> = {}): ChatRequest {
  const calls = ids.map((id, i) => call(id, names[i % Math.max(1, names.length)] ?? 'f'));
  return {
    dialect: 'gemini',
    model: 'm',
    messages: [
      { role: 'user', blocks: [{ type: 'text', text: 'hi' }] },
      { role: 'assistant', blocks: calls },
      { role: 'user', blocks: calls.map(({ id, name }) => result(id, name)) },
    ],
    tools: names.map((name) => ({ name })),
    stream: false,
    ...more,
  };
}

const toolBlocks = ({ messages }: ChatRequest): Block[] => messages.flatMap(({ blocks }) => blocks);

describe.each(Object.entries(forms))('a word made to be %s', (_, form) => {
  test('is one, whatever it was; the same again, and the same once more', () => {
    fc.assert(
      fc.property(words, (word) => {
        const fit = fitWord(word, form);
        expect(fit).toMatch(form);
        expect(fitWord(word, form)).toBe(fit);
        expect(fitWord(fit, form)).toBe(fit);
        if (form.test(word)) expect(fit).toBe(word);
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  test('stays apart from all others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(words, { minLength: 2, maxLength: 12 }), (names) => {
        const { request } = fitToolWords(requestOf(names, names), { names: form, ids: form });
        expect(new Set(request.tools?.map(({ name }) => name)).size).toBe(names.length);
        const calls = toolBlocks(request).filter((block) => block.type === 'tool-call');
        expect(new Set(calls.map(({ id }) => id)).size).toBe(names.length);
      }),
      { seed: 8, numRuns: 200 },
    );
  });
});

test('what can be read of a name stays', () => {
  expect(fitWord('github.repos/list-issues', forms.short!)).toStartWith('github_repos_list-issues_');
  expect(fitWord('7:up', forms['a letter first']!)).toStartWith('t_7_up_');
});

test('a name is the same everywhere in a request, and nothing else of it changes', () => {
  const own = 'mcp:files.read';
  const request = requestOf([own, 'plain'], ['c1', 'c2'], {
    toolChoice: { type: 'allowed', mode: 'auto', names: [own] },
    temperature: 1,
  });
  const before = structuredClone(request);
  const { request: fitted, names } = fitToolWords(request, { names: forms.short, ids: undefined });
  const sent = fitted.tools![0]!.name;
  expect(sent).toMatch(forms.short!);
  expect(fitted).toEqual(JSON.parse(JSON.stringify(before).replaceAll(own, sent)));
  expect(request).toEqual(before);
  expect(names?.get(sent)).toBe(own);
  const forced = fitToolWords(
    { ...request, toolChoice: { type: 'tool', name: own } },
    { names: forms.short, ids: undefined },
  );
  expect(forced.request.toolChoice).toEqual({ type: 'tool', name: sent });
});

test('a name does not depend on what else is in the request, so that it is the same over turns', () => {
  const forms64 = { names: forms.short, ids: forms.short };
  const first = fitToolWords(requestOf(['a.b']), forms64).request;
  const later = fitToolWords(requestOf(['x/y', 'a_b', 'a.b'], ['functions.f:0']), forms64).request;
  expect(later.tools![2]).toEqual(first.tools![0]!);
  expect(later.tools![1]!.name).toBe('a_b');
});

test('a name that is just what another would become is told apart', () => {
  const taken = fitWord('a.b', forms.short!);
  const { request, names } = fitToolWords(requestOf(['a.b', taken]), { names: forms.short, ids: undefined });
  const [one, two] = request.tools!.map(({ name }) => name);
  expect(two).toBe(taken);
  expect(one).not.toBe(taken);
  expect(one).toMatch(forms.short!);
  expect(names?.get(one!)).toBe('a.b');
});

test('a call and its result keep one id', () => {
  const { request } = fitToolWords(requestOf(['f'], ['functions.f:0', 'functions_f_0']), {
    names: undefined,
    ids: forms.unbounded,
  });
  const [one, two, first, second] = toolBlocks(request).slice(1) as [
    ToolCallBlock,
    ToolCallBlock,
    ToolResultBlock,
    ToolResultBlock,
  ];
  expect(one.id).toMatch(forms.unbounded!);
  expect(first.callId).toBe(one.id);
  expect([two.id, second.callId]).toEqual(['functions_f_0', 'functions_f_0']);
});

test('a request whose words fit is the very same, and so is one without forms', () => {
  const request = requestOf(['plain'], ['call_1']);
  expect(fitToolWords(request, { names: forms.short, ids: forms.short }).request).toBe(request);
  const odd = requestOf(['a.b'], ['c:1']);
  expect(fitToolWords(odd, { names: undefined, ids: undefined }).request).toBe(odd);
});

test('tools that only their own dialect knows keep what they are called', () => {
  const tools = [{ name: 'web.search', opaque: { type: 'web.search' } }];
  const request = requestOf([], [], { tools });
  expect(fitToolWords(request, { names: forms.short, ids: undefined }).request).toBe(request);
});

describe('a block of an answer', () => {
  test('calls a tool by the name the client gave it, with an id its dialect takes back', () => {
    const names = new Map([['a_b_123', 'a.b']]);
    expect(restoreBlock(call('call_1', 'a_b_123'), names, undefined)).toEqual(call('call_1', 'a.b'));
    expect(restoreBlock(call('call_1', 'other'), names, forms.unbounded)).toEqual(call('call_1', 'other'));
    const restored = restoreBlock(call('functions.f:0', 'f'), undefined, forms.unbounded) as ToolCallBlock;
    expect(restored.id).toMatch(forms.unbounded!);
  });

  test('of any other kind is left alone', () => {
    const text: Block = { type: 'text', text: 'a_b_123' };
    expect(restoreBlock(text, new Map([['a_b_123', 'a.b']]), forms.unbounded)).toBe(text);
  });
});

test('every form a dialect asks for can be met', () => {
  for (const { can } of dialects.values()) {
    for (const form of [can.toolNames, can.toolIds]) {
      if (form === undefined) continue;
      // A form that remembers where it last matched would judge the same word differently.
      expect(form.global || form.sticky).toBe(false);
      for (const word of ['mcp:files.read/äö', ' ', '', '1', 'x'.repeat(300)])
        expect(fitWord(word, form)).toMatch(form);
    }
  }
});
