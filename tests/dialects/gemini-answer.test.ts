/** Answers of Gemini, whole and streamed: how they are read, how they are written for its clients, how they are watched. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { uncarry } from '../../src/core/carry.ts';
import type { Block, ChatEvent, ChatResponse, Choice } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { gemini as dialect } from '../../src/dialects/gemini.ts';
import { sseEvents } from '../recordings.ts';

const fixtures = join(import.meta.dir, '../../fixtures/gemini');
const casesWith = (...files: string[]): string[] =>
  readdirSync(fixtures).filter((name) =>
    files.every((file) => readdirSync(join(fixtures, name)).includes(file)),
  );
const text = (name: string, file: string): string => readFileSync(join(fixtures, name, file), 'utf8');
const json = (name: string): JsonObject => JSON.parse(text(name, 'response.json'));

const part = (value: string, more: JsonObject = {}): JsonObject => ({ text: value, ...more });
const call = (name: string, more: JsonObject = {}): JsonObject => ({
  functionCall: { name, args: {}, ...more },
});
const candidate = (parts: JsonObject[], finishReason?: string, more: JsonObject = {}): JsonObject => ({
  content: { parts, role: 'model' },
  ...(finishReason !== undefined && { finishReason }),
  index: 0,
  ...more,
});
const chunk = (...candidates: JsonObject[]): JsonObject => ({
  candidates,
  modelVersion: 'gemini-x',
  responseId: 'r1',
});

function events(...chunks: (JsonObject | JsonObject[] | string)[]): ChatEvent[] {
  const seen: ChatEvent[] = [];
  const reader = dialect.readStream((event) => seen.push(event), {});
  for (const each of chunks) reader.push('', typeof each === 'string' ? each : JSON.stringify(each));
  reader.end();
  return seen;
}

const answerTo = (...chunks: JsonObject[]): Choice => fold(events(...chunks), 'gemini').choices[0]!;
const whole = (...candidates: JsonObject[]): ChatResponse => dialect.readResponse(chunk(...candidates), {});

/** The chunks a writer makes of hub events. */
function written(...hub: ChatEvent[]): JsonObject[] {
  let out = '';
  const writer = dialect.writeStream(
    (piece) => {
      out += piece;
    },
    { streamUsage: true },
  );
  writer.push({ type: 'start', id: 'a1', model: 'm', created: 1_700_000_000 });
  for (const event of hub) writer.push(event);
  return sseEvents(out).map(({ data }) => JSON.parse(data));
}

const at = { choice: 0, block: 0 };
const end: ChatEvent[] = [{ type: 'finish', choice: 0, stop: 'stop' }, { type: 'end' }];
const partsOf = (chunks: JsonObject[]): JsonObject[] =>
  chunks.flatMap(({ candidates }) =>
    (candidates as JsonObject[]).flatMap(({ content }) => (content as JsonObject).parts as JsonObject[]),
  );

function respond(blocks: Block[], more: Partial<Choice> = {}): JsonObject {
  const choices: Choice[] = [{ index: 0, blocks, stop: 'stop', ...more }];
  return dialect.writeResponse({ dialect: 'openai-chat', id: 'a1', model: 'm', choices });
}
const firstOf = (answer: JsonObject): JsonObject => (answer.candidates as JsonObject[])[0]!;

describe('an answer', () => {
  test.each(casesWith('response.json'))('%s survives being read and written', (name) => {
    const answer = dialect.readResponse(json(name), {});
    expect(dialect.readResponse(dialect.writeResponse(structuredClone(answer)), {})).toEqual(answer);
  });

  test.each(casesWith('response.json', 'stream.sse'))('%s is the same in pieces', (name) => {
    const pieces = sseEvents(text(name, 'stream.sse')).map(({ data }) => data);
    expect(fold(events(...pieces), 'gemini')).toEqual(dialect.readResponse(json(name), {}));
  });

  test('that calls a tool ends for that, whatever the provider says', () => {
    expect(whole(candidate([call('f')], 'STOP')).choices[0]?.stop).toBe('tool_calls');
    expect(whole(candidate([call('f')], 'MAX_TOKENS')).choices[0]?.stop).toBe('length');
  });

  test.each([
    ['STOP', 'stop'],
    ['MAX_TOKENS', 'length'],
    ['SAFETY', 'content_filter'],
    ['RECITATION', 'content_filter'],
    ['PROHIBITED_CONTENT', 'content_filter'],
    ['SPII', 'content_filter'],
    ['IMAGE_SAFETY', 'content_filter'],
    ['MODEL_ARMOR', 'content_filter'],
    ['OTHER', 'stop'],
    ['SOMETHING_NEW', 'stop'],
    ['CONTINUATION', 'pause'],
    ['MALFORMED_FUNCTION_CALL', 'stop'],
  ])('that ends with %s has come to %s', (reason, stop) => {
    const choice = whole(candidate([part('so')], reason)).choices[0];
    expect(choice?.stop).toBe(stop as never);
    expect(firstOf(dialect.writeResponse(whole(candidate([part('so')], reason)))).finishReason).toBe(reason);
  });

  test('without a word, for a reason nobody knows, was blocked', () => {
    expect(whole({ finishReason: 'SOMETHING_NEW', index: 0 }).choices[0]).toMatchObject({
      blocks: [],
      stop: 'content_filter',
    });
  });

  test('to a prompt that was refused has no candidate, and says so to the client', () => {
    const body = json('blocked-prompt');
    const answer = dialect.readResponse(body, {});
    expect(answer.choices).toMatchObject([{ index: 0, blocks: [], stop: 'content_filter' }]);
    expect(answer.usage?.input).toBe(9);
    const again = dialect.writeResponse(answer);
    expect(again.candidates).toBeUndefined();
    expect(again.promptFeedback).toEqual(body.promptFeedback!);
  });

  test.each(['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'TOO_MANY_TOOL_CALLS'])(
    'that ends with %s has no call to carry out',
    (reason) => {
      const { blocks, stop } = whole(candidate([part('so'), call('rm')], reason)).choices[0]!;
      expect(blocks.map(({ type }) => type)).toEqual(['text']);
      expect(stop).toBe('stop');
    },
  );

  test('may say nothing of why it ended when it is whole', () => {
    expect(whole(candidate([part('so')])).choices[0]).toMatchObject({ stop: 'stop' });
  });

  test('in which the provider runs a tool of its own calls none of the client', () => {
    const { blocks, stop } = dialect.readResponse(json('provider-runs-call'), {}).choices[0]!;
    expect(blocks.map(({ type }) => type)).toEqual(['opaque', 'opaque', 'text']);
    expect(stop).toBe('stop');
  });

  test('that is none is refused, and an error is what it says', () => {
    const kindOf = (body: JsonObject): string => {
      try {
        dialect.readResponse(body, {});
        return 'accepted';
      } catch (error) {
        return (error as GatewayError).kind;
      }
    };
    expect(kindOf({})).toBe('upstream_invalid');
    expect(kindOf({ choices: [] })).toBe('upstream_invalid');
    expect(kindOf({ candidates: [], usageMetadata: { promptTokenCount: 1 } })).toBe('upstream_invalid');
    expect(kindOf({ error: { code: 503, message: 'Later.', status: 'UNAVAILABLE' } })).toBe(
      'upstream_overloaded',
    );
  });
});

describe('usage', () => {
  const usageOf = (usageMetadata: JsonObject): object | undefined =>
    dialect.readResponse({ ...chunk(candidate([part('x')], 'STOP')), usageMetadata }, {}).usage;

  test('counts thoughts as output and what tools put into the prompt as input', () => {
    const counts = {
      promptTokenCount: 10,
      candidatesTokenCount: 5,
      thoughtsTokenCount: 7,
      toolUsePromptTokenCount: 20,
    };
    expect(usageOf({ ...counts, cachedContentTokenCount: 4 })).toEqual({
      ...emptyUsage(),
      input: 30,
      cacheRead: 4,
      output: 12,
      reasoning: 7,
    });
    expect(usageOf({ promptTokenCount: 10, thoughtsTokenCount: 7 })).toMatchObject({
      output: 7,
      reasoning: 7,
    });
  });

  test('tells audio apart', () => {
    const audio = (tokenCount: number): JsonObject[] => [
      { modality: 'TEXT', tokenCount: 1 },
      { modality: 'AUDIO', tokenCount },
    ];
    const details = { promptTokensDetails: audio(6), candidatesTokensDetails: audio(3) };
    const usage = usageOf({ promptTokenCount: 7, candidatesTokenCount: 4, ...details });
    expect(usage).toMatchObject({ input: 7, audioInput: 6, output: 4, audioOutput: 3 });
    const answer: ChatResponse = {
      dialect: 'openai-chat',
      id: '',
      model: '',
      choices: [],
      usage: { ...emptyUsage(), input: 7, output: 4, audioInput: 6, audioOutput: 3 },
    };
    expect(dialect.readUsage(dialect.writeResponse(answer), {})).toEqual(answer.usage);
  });

  test('without any count is none', () => {
    expect(usageOf({ trafficType: 'ON_DEMAND' })).toBeUndefined();
  });
});

describe('sources', () => {
  test('are cited where they stand, in characters, not in bytes', () => {
    const [block] = dialect.readResponse(json('grounding'), {}).choices[0]!.blocks;
    const citations = block?.type === 'text' ? (block.citations ?? []) : [];
    const said = block?.type === 'text' ? block.text : '';
    expect(citations.map(({ url }) => url)).toEqual([
      'https://example.org/lakes',
      'https://example.org/lakes',
      'https://example.net/bodensee',
    ]);
    for (const { start, end: until, text: words } of citations) expect(said.slice(start, until)).toBe(words!);
  });

  test('of other dialects are grounding, in bytes', () => {
    const citation = {
      url: 'https://example.org',
      start: 4,
      end: 9,
      value: {},
      dialect: 'openai-chat' as const,
    };
    const { groundingMetadata } = firstOf(
      respond([{ type: 'text', text: 'Der Größte.', citations: [citation] }]),
    );
    expect(groundingMetadata).toEqual({
      groundingChunks: [{ web: { uri: 'https://example.org', title: 'https://example.org' } }],
      groundingSupports: [
        { segment: { startIndex: 4, endIndex: 11, text: 'Größt' }, groundingChunkIndices: [0] },
      ],
    });
  });
});

describe('log-probabilities', () => {
  test('are those of the hub', () => {
    const { logprobs } = dialect.readResponse(json('logprobs'), {}).choices[0]!;
    expect(logprobs).toMatchObject({
      content: [
        { token: 'Ja', logprob: -0.1, top_logprobs: [{ token: 'Ja' }, { token: 'Nein', logprob: -2.4 }] },
        { token: '✓', bytes: [0xe2, 0x9c, 0x93] },
      ],
    });
    expect(firstOf(respond([{ type: 'text', text: 'Ja✓' }], { logprobs })).logprobsResult).toEqual(
      (firstOf(json('logprobs')).logprobsResult ?? null) as never,
    );
  });
});

describe('a stream', () => {
  test('tells text and thoughts as they come, a signature with the text it follows', () => {
    const choice = answerTo(
      chunk(candidate([part('hm, ', { thought: true })])),
      chunk(candidate([part('yes', { thought: true })])),
      chunk(candidate([part('So ')])),
      chunk(candidate([part('be it')])),
      chunk(candidate([part('', { thoughtSignature: 'c2ln' })], 'STOP')),
    );
    expect(choice.blocks).toEqual([
      { type: 'reasoning', text: 'hm, yes', vendor: 'gemini' },
      { type: 'text', text: 'So be it', state: { vendor: 'gemini', value: 'c2ln' } },
    ]);
  });

  test('of parallel calls leaves the signature with the first', () => {
    const choice = answerTo(
      chunk(
        candidate(
          [call('f', {}), call('f')].map((each, i) => (i > 0 ? each : { ...each, thoughtSignature: 'c2ln' })),
        ),
      ),
      chunk(candidate([part('')], 'STOP')),
    );
    expect(choice.blocks).toMatchObject([{ state: { vendor: 'gemini', value: 'c2ln' } }, { name: 'f' }]);
    expect(choice.blocks[1]).not.toHaveProperty('state');
    expect(choice.stop).toBe('tool_calls');
  });

  test('gives calls without an id one that is the same at every reading, and the others keep theirs', () => {
    const idsOf = (...chunks: JsonObject[]): string[] =>
      answerTo(...chunks).blocks.map((block) => (block.type === 'tool-call' ? block.id : ''));
    const calls = chunk(candidate([call('f'), call('f', { id: 'x1' }), call('f')], 'STOP'));
    const [first, second, third] = idsOf(calls);
    expect(second).toBe('x1');
    expect(new Set([first, second, third]).size).toBe(3);
    expect(idsOf(calls)).toEqual([first!, second!, third!]);
    expect(idsOf({ ...calls, responseId: 'r2' })[0]).not.toBe(first!);
    expect(first).toMatch(/^[a-zA-Z0-9_-]{1,40}$/);
  });

  test('takes usage from the last chunk that counts', () => {
    const count = (promptTokenCount: number, candidatesTokenCount: number): JsonObject => ({
      usageMetadata: { promptTokenCount, candidatesTokenCount },
    });
    const seen = events(
      { ...chunk(candidate([part('a')])), ...count(9, 1) },
      { ...chunk(candidate([part('b')], 'STOP')), ...count(9, 2) },
      { ...chunk(candidate([part('')], 'STOP')), ...count(9, 3) },
      { ...chunk(), usageMetadata: { trafficType: 'ON_DEMAND' } },
    );
    expect(seen[0]).toMatchObject({ type: 'start', usage: { input: 9, output: 1 } });
    expect(fold(seen, 'gemini').usage).toMatchObject({ input: 9, output: 3 });
    expect(seen.filter(({ type }) => type === 'finish')).toHaveLength(1);
  });

  test('is cut unless every candidate has finished', () => {
    const first = chunk(candidate([part('a')], 'STOP'));
    const second = chunk(candidate([part('b')], undefined, { index: 1 }));
    expect(events(first).at(-1)?.type).toBe('end');
    expect(events(first, second).at(-1)?.type).toBe('delta');
    expect(events(first, second, chunk(candidate([], 'STOP', { index: 1 }))).at(-1)?.type).toBe('end');
    expect(events().length).toBe(0);
  });

  test('that fails says so, and what was counted', () => {
    const started = { ...chunk(candidate([part('a')])), usageMetadata: { promptTokenCount: 5 } };
    const seen = events(started, { error: { code: 500, message: 'Oh.', status: 'INTERNAL' } }, started);
    expect(seen.slice(-2)).toMatchObject([
      { type: 'usage' },
      { type: 'error', error: { kind: 'upstream_unavailable' } },
    ]);
    expect(events([{ error: { code: 429, message: 'x', status: 'RESOURCE_EXHAUSTED' } }])).toMatchObject([
      { type: 'error', error: { kind: 'upstream_rate_limited' } },
    ]);
    expect(events(started, '{"cut').at(-1)).toMatchObject({
      type: 'error',
      error: { kind: 'upstream_invalid' },
    });
  });

  test('puts arguments together that come value by value', () => {
    const answer = fold(
      events(...sseEvents(text('partial-args', 'stream.sse')).map(({ data }) => data)),
      'gemini',
    );
    const inputs = answer.choices[0]!.blocks.map((block) =>
      block.type === 'tool-call' ? JSON.parse(block.input) : {},
    );
    expect(inputs).toEqual([
      { who: 'Ada "A" ✓', where: [{ city: 'Rome', gate: 7 }], ok: true, note: null },
      {},
    ]);
  });

  test('that ends within arguments leaves them cut', () => {
    const pieces = {
      partialArgs: [{ jsonPath: '$.a', stringValue: 'x', willContinue: true }],
      willContinue: true,
    };
    const choice = answerTo(
      chunk(candidate([{ functionCall: { name: 'f', willContinue: true } }])),
      chunk(candidate([{ functionCall: pieces }], 'MAX_TOKENS')),
    );
    expect(choice).toMatchObject({ stop: 'length', blocks: [{ type: 'tool-call', input: '{"a":"x"' }] });
  });

  test('does not let paths of arguments lead out of them', () => {
    const evil = ['$.__proto__.polluted', '$.a.__proto__.polluted', '$.list[99999999]', '$.toString.x'];
    const partialArgs = evil.map((jsonPath) => ({ jsonPath, stringValue: 'yes' }));
    const { blocks } = answerTo(chunk(candidate([{ functionCall: { name: 'f', partialArgs } }], 'STOP')));
    expect(({} as JsonObject).polluted).toBeUndefined();
    expect(blocks[0]).toMatchObject({
      type: 'tool-call',
      input: '{"a":{},"list":[],"toString":{"x":"yes"}}',
    });
  });
});

describe('a stream for a client', () => {
  test('tells text at once, every chunk with a content, the last one how it ended', () => {
    const chunks = written(
      { type: 'block', ...at, value: { type: 'text', text: '' } },
      { type: 'delta', ...at, text: 'Hel' },
      { type: 'delta', ...at, text: 'lo' },
      { type: 'close', ...at },
      { type: 'finish', choice: 0, stop: 'length' },
      { type: 'usage', usage: { ...emptyUsage(), input: 9, output: 5, reasoning: 2, cacheRead: 4 } },
      { type: 'end' },
    );
    const names = { modelVersion: 'm', responseId: 'a1', createTime: '2023-11-14T22:13:20.000Z' };
    expect(chunks).toEqual([
      { candidates: [candidate([part('Hel')])], ...names },
      { candidates: [candidate([part('lo')])], ...names },
      {
        candidates: [candidate([part('')], 'MAX_TOKENS')],
        usageMetadata: {
          promptTokenCount: 9,
          candidatesTokenCount: 3,
          thoughtsTokenCount: 2,
          cachedContentTokenCount: 4,
          totalTokenCount: 14,
        },
        ...names,
      },
    ]);
  });

  test('ends its lines as Google does', () => {
    let out = '';
    const writer = dialect.writeStream((piece) => (out += piece), { streamUsage: true });
    for (const event of end) writer.push(event);
    expect(out).toMatch(/^data: \{.*\}\r\n\r\n$/);
  });

  test('tells thoughts as such, and another vendor’s signature after them', () => {
    const parts = partsOf(
      written(
        { type: 'block', ...at, value: { type: 'reasoning', text: '', vendor: 'anthropic-messages' } },
        { type: 'delta', ...at, text: 'hm' },
        { type: 'delta', ...at, signature: 'Eq' },
        { type: 'delta', ...at, signature: 'MC' },
        { type: 'close', ...at },
        ...end,
      ),
    );
    expect(parts[0]).toEqual({ text: 'hm', thought: true });
    expect(parts[1]).toMatchObject({ text: '', thought: true });
    expect(uncarry(String(parts[1]?.thoughtSignature))).toEqual({
      type: 'reasoning',
      vendor: 'anthropic-messages',
      signature: 'EqMC',
    });
  });

  test('tells calls whole and in order, however their arguments come', () => {
    const tool = (block: number, id: string): ChatEvent => ({
      type: 'block',
      choice: 0,
      block,
      value: { type: 'tool-call', id, name: 'f', input: '' },
    });
    const parts = partsOf(
      written(
        tool(0, 'a'),
        tool(1, 'b'),
        { type: 'delta', choice: 0, block: 1, input: '{"n":2}' },
        { type: 'close', choice: 0, block: 1 },
        { type: 'delta', choice: 0, block: 0, input: '{"n"' },
        { type: 'delta', choice: 0, block: 0, input: ':1}' },
        { type: 'close', choice: 0, block: 0 },
        ...end,
      ),
    );
    expect(parts.slice(0, 2)).toEqual([
      { functionCall: { id: 'a', name: 'f', args: { n: 1 } } },
      { functionCall: { id: 'b', name: 'f', args: { n: 2 } } },
    ]);
  });

  test('says of arguments that were cut short that they go on', () => {
    const value: Block = { type: 'tool-call', id: 'a', name: 'f', input: '{"a":"x' };
    const { functionCall } = (
      (firstOf(respond([value], { stop: 'length' })).content as JsonObject).parts as JsonObject[]
    )[0]!;
    expect(functionCall).toEqual({
      id: 'a',
      name: 'f',
      partialArgs: [{ jsonPath: '$', stringValue: '{"a":"x', willContinue: true }],
      willContinue: true,
    });
    const read = dialect.readResponse(respond([value], { stop: 'length' }), {});
    expect(read.choices[0]).toMatchObject({ stop: 'length', blocks: [{ id: 'a', input: '{"a":"x' }] });
  });

  test('keeps the first place in every chunk for the first candidate', () => {
    const chunks = written(
      { type: 'block', choice: 1, block: 0, value: { type: 'text', text: '' } },
      { type: 'delta', choice: 1, block: 0, text: 'B' },
      { type: 'close', choice: 1, block: 0 },
      { type: 'finish', choice: 1, stop: 'stop' },
      ...end,
    );
    const [first, last] = chunks.map(({ candidates }) => candidates as JsonObject[]);
    expect(first).toEqual([candidate([part('')]), candidate([part('B')], undefined, { index: 1 })]);
    expect(last?.map(({ index }) => index)).toEqual([0, 1]);
  });

  test('shows images that the model made', () => {
    const image: Block = {
      type: 'media',
      media: 'image',
      source: { type: 'base64', mimeType: 'image/png', data: 'iVBOR' },
    };
    const [shown] = partsOf(
      written({ type: 'block', ...at, value: image }, { type: 'close', ...at }, ...end),
    );
    expect(shown).toEqual({ inlineData: { mimeType: 'image/png', data: 'iVBOR' } });
  });

  test('says a refusal in words and as the reason', () => {
    const candidateOf = firstOf(respond([{ type: 'refusal', text: 'No.' }]));
    expect(candidateOf).toMatchObject({ content: { parts: [{ text: 'No.' }] }, finishReason: 'SAFETY' });
  });

  test('leaves out what is another dialect’s own', () => {
    const extra = { stop_details: { type: 'refusal' }, usage: { service_tier: 'x' } };
    const answer = respond([{ type: 'opaque', dialect: 'openai-chat', value: { audio: {} } }], { extra });
    expect(firstOf(answer)).toEqual({
      content: { parts: [part('')], role: 'model' },
      finishReason: 'STOP',
      index: 0,
    });
  });
});

describe('a stream as one array', () => {
  const writer = (): { push(event: ChatEvent): void; fail(): string; out(): string } => {
    let out = '';
    const stream = dialect.writeStream((piece) => (out += piece), { streamUsage: true, array: true });
    stream.push({ type: 'start', id: 'a1', model: 'm' });
    return {
      push: (event) => stream.push(event),
      fail: () => out + stream.writeError?.(new GatewayError('upstream_network', 'Cut.'), ''),
      out: () => out,
    };
  };
  const say = (text: string): ChatEvent[] => [
    { type: 'block', ...at, value: { type: 'text', text: '' } },
    { type: 'delta', ...at, text },
  ];

  test('is one when all its pieces are there', () => {
    const { push, out } = writer();
    for (const event of [...say('Hello'), { type: 'close', ...at } as ChatEvent, ...end]) push(event);
    expect(out()).toStartWith('[{');
    const chunks: JsonObject[] = JSON.parse(out());
    expect(partsOf(chunks)).toEqual([part('Hello'), part('')]);
  });

  test('is one also when it breaks off', () => {
    const { push, fail } = writer();
    expect(JSON.parse(fail())).toMatchObject([{ error: { code: 502 } }]);
    for (const event of say('Hel')) push(event);
    expect(JSON.parse(fail())).toMatchObject([{ candidates: [{}] }, { error: { status: 'UNAVAILABLE' } }]);
  });
});

describe('a tap', () => {
  const tapped = (...chunks: JsonObject[]) => {
    const tap = dialect.tap({}, false);
    for (const each of chunks) expect(tap.push('', JSON.stringify(each))).toBe(true);
    return tap;
  };

  test('sees that something was said, that it is complete, and never a last word', () => {
    const counted = (n: number): JsonObject => ({
      usageMetadata: { promptTokenCount: 4, candidatesTokenCount: n },
    });
    const tap = dialect.tap({}, false);
    const steps = [
      { ...chunk(candidate([part('')])), ...counted(0) },
      { ...chunk(candidate([part('a')])), ...counted(1) },
      { ...chunk(candidate([part('b "finishReason"')])), ...counted(2) },
      { ...chunk(candidate([part('')], 'STOP')), ...counted(3) },
      { ...chunk(candidate([part('')], 'STOP')), ...counted(4) },
    ];
    const seen = steps.map((step) => {
      tap.push('', JSON.stringify(step));
      return [tap.meaningful, tap.complete, tap.terminated, tap.usage?.output];
    });
    expect(seen).toEqual([
      [false, false, false, 0],
      [true, false, false, 1],
      [true, false, false, 2],
      [true, true, false, 3],
      [true, true, false, 4],
    ]);
  });

  test('keeps the last count when what follows has none', () => {
    const counted = { usageMetadata: { promptTokenCount: 4, candidatesTokenCount: 2 } };
    const first = chunk(candidate([part('a')]));
    const tap = tapped(first, { ...first, ...counted }, chunk(candidate([part('')], 'STOP')));
    expect(tap.usage).toMatchObject({ input: 4, output: 2 });
  });

  test('waits for all candidates, also for those that begin late', () => {
    const first = chunk(candidate([part('a')]));
    const late = chunk(candidate([part('b')], undefined, { index: 1 }));
    const done = (index: number): JsonObject => chunk(candidate([part('')], 'STOP', { index }));
    expect(tapped(first, late, done(0)).complete).toBe(false);
    expect(tapped(first, late, done(0), done(1)).complete).toBe(true);
  });

  test('takes a refused prompt for an answer, and an error for what it is', () => {
    expect(tapped(json('blocked-prompt'))).toMatchObject({ meaningful: true, complete: true });
    const failed = tapped(chunk(candidate([part('a')])), {
      error: { code: 503, message: '', status: 'UNAVAILABLE' },
    });
    expect([failed.error?.kind, failed.complete]).toEqual(['upstream_overloaded', false]);
  });

  test('has markers for every event it must not miss', () => {
    const must = [
      chunk(candidate([part('')], 'STOP')),
      json('blocked-prompt'),
      { error: { code: 500 } },
      { usageMetadata: { promptTokenCount: 1 } },
      chunk(candidate([part('x')], undefined, { index: 1 })),
    ];
    for (const each of must) {
      expect(dialect.tapMarkers.some((marker) => JSON.stringify(each).includes(marker))).toBe(true);
    }
  });
});
