/** What is particular to completions before chat: prompts, log-probabilities, and answers of chat models in their shape. */
import { describe, expect, test } from 'bun:test';
import type { ChatEvent, ChatRequest, ChatResponse, Message } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { emptyUsage } from '../../src/core/usage.ts';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import { openaiCompletions } from '../../src/dialects/openai-completions.ts';
import { scanMembers } from '../../src/wire/splice.ts';
import { sseEvents } from '../recordings.ts';

const wire = (value: unknown): JsonObject => JSON.parse(JSON.stringify(value));
const ask = (more: JsonObject): ChatRequest => openaiCompletions.readRequest({ model: 'm', ...more });

function refusal(act: () => unknown): GatewayError {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error('It was accepted.');
}

/** The request a chat provider is sent, and what it is not told. */
function translate(body: JsonObject): { body: JsonObject; lost: string[] } {
  const request = ask(body);
  const losses = foreign(request, openaiChat.name, openaiChat.can, openaiCompletions.can);
  const lost = requireMeaning(losses, openaiChat.name);
  return { body: wire(openaiChat.writeRequest(request, {}, lost)), lost };
}

describe('a prompt', () => {
  test.each<[string, Json]>([
    ['a text', 'Say hello.'],
    ['a list of one text', ['Say hello.']],
  ])('that is %s is one user message, with nothing added to it', (_, prompt) => {
    expect(translate({ prompt })).toEqual({
      body: { model: 'm', messages: [{ role: 'user', content: 'Say hello.' }] },
      lost: [],
    });
  });

  test.each<[string, Json]>([
    ['several texts', ['One', 'Two']],
    ['token numbers', [1212, 318]],
    ['lists of token numbers', [[1212], [318]]],
  ])(
    'of %s is said in its own dialect, and refused elsewhere with words that say what to do',
    (_, prompt) => {
      const own = ask({ prompt });
      expect(openaiCompletions.writeRequest(own, {}, []).prompt).toEqual(prompt);
      const error = refusal(() => translate({ prompt }));
      expect(error.kind).toBe('unsupported');
      expect(error.detail.param).toBe('prompt');
      expect(error.message).toContain('a call for each of several prompts');
    },
  );

  test.each<[string, JsonObject]>([
    ['missing', {}],
    ['null', { prompt: null }],
    ['empty', { prompt: [] }],
    ['an object', { prompt: { text: 'x' } }],
    ['a mixture', { prompt: ['x', 1] }],
  ])('that is %s is refused by name', (_, body) => {
    const error = refusal(() => ask(body));
    expect(error.kind).toBe('bad_request');
    expect(error.detail.param).toBe('prompt');
  });
});

describe('a request', () => {
  test('says in chat what chat has words for', () => {
    const { body, lost } = translate({
      prompt: 'Hi',
      max_tokens: 5,
      temperature: 0.5,
      stop: ['END'],
      n: 2,
      logprobs: 3,
      user: 'u',
      top_k: 4,
    });
    expect(body).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Hi' }],
      max_completion_tokens: 5,
      temperature: 0.5,
      stop: ['END'],
      n: 2,
      logprobs: true,
      top_logprobs: 3,
      user: 'u',
    });
    expect(lost).toEqual(['top_k']);
  });

  test.each<[string, JsonObject]>([
    ['suffix', { suffix: '\nend' }],
    ['echo', { echo: true }],
    ['best_of', { best_of: 3 }],
  ])('with %s cannot go to a chat model', (param, more) => {
    const error = refusal(() => translate({ prompt: 'Hi', ...more }));
    expect(error.kind).toBe('unsupported');
    expect(error.detail.param).toBe(param);
  });

  test('may say what holds without being said', () => {
    expect(translate({ prompt: 'Hi', suffix: '', echo: false, best_of: 1, n: 1 }).lost).toEqual([]);
  });

  test('cannot ask a model without log-probabilities for them', () => {
    const request = ask({ prompt: 'Hi', logprobs: 0 });
    const losses = foreign(request, anthropicMessages.name, anthropicMessages.can, openaiCompletions.can);
    expect(losses.meaning).toEqual(['logprobs']);
  });
});

describe('a chat written as a prompt', () => {
  const write = (messages: Message[], more: Partial<ChatRequest> = {}) =>
    openaiCompletions.writeRequest(
      { dialect: 'openai-chat', model: 'm', messages, stream: false, ...more },
      {},
      [],
    );
  const said = (role: Message['role'], text: string): Message => ({ role, blocks: [{ type: 'text', text }] });

  test('is its instructions and its one turn, with room for an answer', () => {
    expect(write([said('system', 'Be terse.'), said('user', 'Hi')])).toEqual({
      model: 'm',
      prompt: 'Be terse.\n\nHi',
      max_tokens: 3000,
    });
    expect(write([said('user', 'Hi')], { maxTokens: 7 }).max_tokens).toBe(7);
  });

  test.each<[string, Message[]]>([
    ['several turns', [said('user', 'Hi'), said('assistant', 'Yes?'), said('user', 'Go on')]],
    ['an answer begun', [said('user', 'Hi'), said('assistant', 'Ye')]],
    [
      'an image',
      [{ role: 'user', blocks: [{ type: 'media', media: 'image', source: { type: 'url', url: 'x' } }] }],
    ],
  ])('is refused with %s', (_, messages) => {
    expect(refusal(() => write(messages)).kind).toBe('unsupported');
  });
});

describe('log-probabilities', () => {
  const chat: Json = {
    content: [
      {
        token: 'Grüß',
        logprob: -0.5,
        bytes: [71, 114, 195, 188, 195, 159],
        top_logprobs: [
          { token: 'Grüß', logprob: -0.5, bytes: null },
          { token: 'Hi', logprob: -2, bytes: null },
        ],
      },
      { token: ' 🌍', logprob: -0.25, bytes: null, top_logprobs: [] },
      { token: '!', logprob: -0.125, bytes: null, top_logprobs: [] },
    ],
    refusal: null,
  };
  const answer: ChatResponse = {
    dialect: 'openai-chat',
    id: 'chatcmpl-1',
    model: 'm',
    created: 1,
    choices: [{ index: 0, blocks: [{ type: 'text', text: 'Grüß 🌍!' }], stop: 'stop', logprobs: chat }],
  };

  test('of a chat model come as lists side by side, offsets counted in characters from the start of the prompt', () => {
    const request = ask({ prompt: 'Héllo', logprobs: 2 });
    const written = wire(
      openaiCompletions.writeResponse(answer, { streamUsage: false, request: () => request }),
    );
    expect((written.choices as JsonObject[])[0]?.logprobs).toEqual({
      tokens: ['Grüß', ' 🌍', '!'],
      token_logprobs: [-0.5, -0.25, -0.125],
      top_logprobs: [{ Grüß: -0.5, Hi: -2 }, {}, {}],
      text_offset: [5, 9, 11],
    });
  });

  test('without alternatives have none listed', () => {
    const content = [{ token: 'Hi', logprob: -1, bytes: null, top_logprobs: [] }];
    const choices = [{ ...answer.choices[0]!, logprobs: { content, refusal: null } }];
    const written = wire(openaiCompletions.writeResponse({ ...answer, choices }));
    const logprobs = { tokens: ['Hi'], token_logprobs: [-1], text_offset: [0] };
    expect(written.choices).toMatchObject([{ logprobs }]);
    expect(written).not.toHaveProperty('choices.0.logprobs.top_logprobs');
  });

  test('that a host writes in the shape of chat are taken as they are', () => {
    const choice = { text: 'Grüß 🌍!', index: 0, finish_reason: 'stop', logprobs: chat };
    const read = openaiCompletions.readResponse({ id: 'cmpl-1', choices: [choice] }, {});
    expect(read.choices[0]?.logprobs).toEqual(chat);
  });

  test('of an echoed prompt begin with none', () => {
    const logprobs = {
      tokens: ['One', ' two'],
      token_logprobs: [null, -0.5],
      top_logprobs: [null, { ' two': -0.5 }],
    };
    const choice = { text: 'One two', index: 0, finish_reason: 'length', logprobs };
    const read = openaiCompletions.readResponse({ id: 'cmpl-1', choices: [choice] }, {});
    expect(read.choices[0]?.logprobs).toMatchObject({ content: [{ logprob: null }, { logprob: -0.5 }] });
  });

  test('go on in a stream where the last piece ended', () => {
    const [first, ...rest] = (chat as { content: Json[] }).content;
    const out = writeStream([
      { type: 'start', id: 'chatcmpl-1', model: 'm', created: 1 },
      { type: 'block', choice: 0, block: 0, value: { type: 'text', text: '' } },
      { type: 'delta', choice: 0, block: 0, text: 'Grüß', logprobs: { content: [first!], refusal: null } },
      { type: 'delta', choice: 0, block: 0, text: ' 🌍!', logprobs: { content: rest, refusal: null } },
      { type: 'close', choice: 0, block: 0 },
      { type: 'finish', choice: 0, stop: 'stop' },
      { type: 'end' },
    ]);
    const offsets = out.flatMap(({ choices }) =>
      (choices as { logprobs: { text_offset: number[] } | null }[]).flatMap(
        ({ logprobs }) => logprobs?.text_offset ?? [],
      ),
    );
    expect(offsets).toEqual([0, 4, 6]);
  });
});

/** The chunks of a stream, the last word left out. */
function writeStream(events: ChatEvent[], streamUsage = false): JsonObject[] {
  let text = '';
  const writer = openaiCompletions.writeStream(
    (piece) => {
      text += piece;
    },
    { streamUsage },
  );
  for (const event of events) writer.push(event);
  const data = sseEvents(text).map((event) => event.data);
  expect(data.at(-1)).toBe('[DONE]');
  return data.slice(0, -1).map((line) => JSON.parse(line));
}

describe('an answer', () => {
  test('of a chat model is a text completion; what it thought stands beside, tool calls nobody asked for are left out', () => {
    const written = wire(
      openaiCompletions.writeResponse({
        dialect: 'openai-chat',
        id: 'chatcmpl-7',
        model: 'm',
        created: 3,
        choices: [
          {
            index: 0,
            blocks: [
              { type: 'reasoning', text: 'Hm.' },
              { type: 'text', text: 'Four' },
              { type: 'tool-call', id: 'c', name: 'f', input: '{}' },
            ],
            stop: 'tool_calls',
          },
        ],
        usage: { ...emptyUsage(), input: 3, output: 4 },
      }),
    );
    expect(written).toMatchObject({
      id: 'cmpl-7',
      object: 'text_completion',
      created: 3,
      model: 'm',
      choices: [{ text: 'Four', index: 0, logprobs: null, finish_reason: 'stop', reasoning: 'Hm.' }],
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
    });
  });

  test.each<[ChatResponse['choices'][number]['stop'], string]>([
    ['stop', 'stop'],
    ['stop_sequence', 'stop'],
    ['length', 'length'],
    ['context_length', 'length'],
    ['content_filter', 'content_filter'],
    ['refusal', 'content_filter'],
  ])('that ended for %s says %s', (stop, word) => {
    const out = writeStream([
      { type: 'start', id: '', model: 'm' },
      { type: 'finish', choice: 0, stop },
      { type: 'end' },
    ]);
    expect(out.map(({ choices }) => (choices as JsonObject[])[0]?.finish_reason)).toEqual([word]);
  });

  test('that is a refusal says so at its end', () => {
    const choices: ChatResponse['choices'] = [
      { index: 0, blocks: [{ type: 'refusal', text: 'No.' }], stop: 'stop' },
    ];
    const written = wire(
      openaiCompletions.writeResponse({ dialect: 'openai-chat', id: '', model: 'm', choices }),
    );
    expect((written.choices as JsonObject[])[0]).toMatchObject({
      text: 'No.',
      finish_reason: 'content_filter',
    });
  });

  test('has usage at the end of a stream only for those who want it', () => {
    const events: ChatEvent[] = [
      { type: 'start', id: 'x', model: 'm' },
      { type: 'block', choice: 0, block: 0, value: { type: 'text', text: '' } },
      { type: 'delta', choice: 0, block: 0, text: 'Hi' },
      { type: 'close', choice: 0, block: 0 },
      { type: 'finish', choice: 0, stop: 'stop' },
      { type: 'usage', usage: { ...emptyUsage(), input: 1, output: 2 } },
      { type: 'end' },
    ];
    expect(writeStream(events).some((chunk) => 'usage' in chunk)).toBe(false);
    const told = writeStream(events, true);
    expect(told.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(told.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 2 } });
  });

  test("that is none is the provider's fault", () => {
    expect(refusal(() => openaiCompletions.readResponse({ id: 'x' }, {})).kind).toBe('upstream_invalid');
    const failed = { error: { message: 'overloaded', type: 'overloaded_error' } };
    expect(refusal(() => openaiCompletions.readResponse(failed, {})).kind).toBe('upstream_overloaded');
  });

  test('is not complete while one of its choices goes on, though only its first chunk told of it', () => {
    const chunk = (index: number, text: string, finish: string | null) =>
      JSON.stringify({ id: 'x', choices: [{ text, index, logprobs: null, finish_reason: finish }] });
    const tap = openaiCompletions.tap({}, false);
    tap.push('', chunk(0, 'a', null));
    expect(tap.meaningful).toBe(true);
    // This is what the relay goes by when it leaves chunks unread.
    const second = chunk(1, 'b', null);
    expect(openaiCompletions.tapMarkers.some((marker) => second.includes(marker))).toBe(true);
    tap.push('', second);
    tap.push('', chunk(0, '', 'stop'));
    expect(tap.complete).toBe(false);
    tap.push('', chunk(1, '', 'stop'));
    expect(tap.complete).toBe(true);
  });

  test('that is cut is no answer', () => {
    const events: ChatEvent[] = [];
    const reader = openaiCompletions.readStream((event) => events.push(event), {});
    reader.push('', JSON.stringify({ id: 'x', choices: [{ text: 'Hal', index: 0, finish_reason: null }] }));
    reader.end();
    expect(refusal(() => fold(events, 'openai-completions')).kind).toBe('upstream_invalid');
  });
});

describe('a relayed request', () => {
  const plan = (body: JsonObject, stream: boolean, quirks = {}) => {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    return openaiCompletions.planRelay(bytes, scanMembers(bytes), stream, quirks);
  };

  test('asks for usage where a stream is wanted, and hides it from whoever did not ask', () => {
    expect(plan({ model: 'm', prompt: 'x', stream: true }, true)).toEqual({
      edits: { stream_options: '{"include_usage":true}' },
      hideUsage: true,
      lost: [],
    });
  });

  test('keeps its one name for the output limit, whatever chat calls it at that host', () => {
    const quirks = { limitMember: 'max_completion_tokens', drop: ['user'] };
    expect(plan({ model: 'm', prompt: 'x', max_tokens: 3, user: 'u' }, false, quirks)).toEqual({
      edits: { user: undefined },
      hideUsage: false,
      lost: ['user'],
    });
  });
});
