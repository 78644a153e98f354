/** Both official clients against providers of both dialects, whole and streamed: the same answer whoever gives it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import type { JsonObject } from '../../src/core/json.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { sseEvents } from '../recordings.ts';
import { startGateway, type TestGateway, twoProviders } from './gateway.ts';

type ChatAsk = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'model' | 'stream'>;
type MessageAsk = Omit<Anthropic.MessageCreateParamsNonStreaming, 'model' | 'stream' | 'max_tokens'> & {
  max_tokens?: number;
};

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  gateway = await startGateway(twoProviders(provider.base));
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const pdf = Buffer.from('%PDF-1.4\n%%EOF\n').toString('base64');
const hello = [{ role: 'user' as const, content: 'Hello, wörld 🦊' }];
const weather = {
  type: 'object' as const,
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city', 'days'],
};
const clockSchema = { type: 'object' as const, properties: {} };

/** What the provider was asked last. */
const lastBody = (): JsonObject => provider.requests.at(-1)?.body ?? {};
const lastText = (): string => provider.requests.at(-1)?.text ?? '';

describe.each(['oa', 'an'] as const)('an OpenAI client and provider %s', (up) => {
  const functions: OpenAI.ChatCompletionTool[] = [
    {
      type: 'function',
      function: { name: 'get_weather', description: 'Weather of a city', parameters: weather },
    },
    { type: 'function', function: { name: 'get_time' } },
  ];
  const whole = (model: string, ask: ChatAsk) =>
    gateway.openai.chat.completions.create({ model: `${up}/${model}`, ...ask });
  const streamed = (model: string, ask: ChatAsk) =>
    gateway.openai.chat.completions.stream({ model: `${up}/${model}`, ...ask }).finalChatCompletion();
  const bothWays = [
    ['whole', whole],
    ['streamed', streamed],
  ] as const;

  describe.each(bothWays)('%s', (_way, ask) => {
    test('text', async () => {
      const answer = await ask('echo', { messages: hello });
      expect(answer.choices).toHaveLength(1);
      expect(answer.choices[0]?.message).toMatchObject({ role: 'assistant', content: 'Hello, wörld 🦊' });
      expect(answer.choices[0]?.finish_reason).toBe('stop');
    });

    test('one tool call, its arguments as JSON text', async () => {
      const answer = await ask('tool', { messages: hello, tools: functions });
      const [choice] = answer.choices;
      expect(choice?.finish_reason).toBe('tool_calls');
      const [call, ...others] = choice?.message.tool_calls ?? [];
      expect(others).toEqual([]);
      expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather' } });
      expect(call?.id).toBeString();
      expect(argumentsOf(call)).toEqual({ city: 'Hello, wörld 🦊', days: 1 });
    });

    test('parallel tool calls, one of them without arguments', async () => {
      const answer = await ask('tool:calls=2', { messages: hello, tools: functions });
      const calls = answer.choices[0]?.message.tool_calls ?? [];
      expect(calls.map((call) => call.type === 'function' && call.function.name)).toEqual([
        'get_weather',
        'get_time',
      ]);
      expect(argumentsOf(calls[1])).toEqual({});
      expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
    });

    test('at most one tool call where parallel ones are switched off', async () => {
      const answer = await ask('tool:calls=2', {
        messages: hello,
        tools: functions,
        parallel_tool_calls: false,
      });
      expect(answer.choices[0]?.message.tool_calls).toHaveLength(1);
    });

    test('a tool that must not be called', async () => {
      const answer = await ask('tool', { messages: hello, tools: functions, tool_choice: 'none' });
      expect(answer.choices[0]?.message.content).toBe('Hello, wörld 🦊');
      expect(answer.choices[0]?.message.tool_calls ?? []).toEqual([]);
    });

    test('a tool that must be called', async () => {
      const forcedTool = { type: 'function' as const, function: { name: 'get_time' } };
      const answer = await ask('tool', { messages: hello, tools: functions, tool_choice: forcedTool });
      const [call] = answer.choices[0]?.message.tool_calls ?? [];
      expect(call).toMatchObject({ function: { name: 'get_time' } });
      expect(argumentsOf(call)).toEqual({});
    });

    test('reasoning beside the text', async () => {
      const answer = await ask('reason', { messages: hello });
      const message = answer.choices[0]?.message as { content: string; reasoning_content?: string };
      expect(message.content).toBe('Hello, wörld 🦊');
      if (_way === 'whole') expect(message.reasoning_content).toStartWith('The user wrote something.');
    });

    test('structured output', async () => {
      const schema = {
        type: 'object',
        properties: { name: { type: 'string' } },
        required: ['name'],
        additionalProperties: false,
      };
      const answer = await ask('json', {
        messages: hello,
        response_format: { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } },
      });
      expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({ name: 'Hello, wörld 🦊' });
    });

    test('a stop sequence', async () => {
      const answer = await ask('echo', { messages: hello, stop: ['wörld'] });
      expect(answer.choices[0]?.message.content).toBe('Hello, ');
      expect(answer.choices[0]?.finish_reason).toBe('stop');
    });

    test.each(['max_tokens', 'max_completion_tokens'] as const)('the token limit %s', async (member) => {
      const answer = await ask('length', { messages: hello, [member]: 8 });
      expect(answer.choices[0]?.finish_reason).toBe('length');
      expect(answer.choices[0]?.message.content).toHaveLength(32);
    });

    test('a refusal', async () => {
      const answer = await ask('refuse', { messages: hello });
      expect(answer.choices[0]?.message.refusal).toBe('I cannot help with that.');
    });

    test('usage, cached and reasoning tokens included in their totals', async () => {
      const wish = _way === 'streamed' ? { stream_options: { include_usage: true } } : {};
      const answer = await ask('usage:input=1000,cached=400,output=70,reasoning=30', {
        messages: hello,
        ...wish,
      });
      expect(answer.usage).toMatchObject({
        prompt_tokens: 1000,
        completion_tokens: 70,
        total_tokens: 1070,
        prompt_tokens_details: { cached_tokens: 400 },
        completion_tokens_details: { reasoning_tokens: 30 },
      });
    });
  });

  test('instructions reach the provider where it looks for them', async () => {
    await whole('echo', {
      messages: [
        { role: 'system', content: 'Be terse.' },
        { role: 'developer', content: 'In French.' },
        ...hello,
      ],
    });
    const { system, messages } = lastBody() as {
      system?: unknown;
      messages: { role: string; content: unknown }[];
    };
    if (up === 'oa')
      expect(messages.slice(0, 2).map(({ content }) => content)).toEqual(['Be terse.', 'In French.']);
    else {
      expect(messages.map(({ role }) => role)).toEqual(['user']);
      expect(JSON.stringify(system)).toInclude('Be terse.');
      expect(JSON.stringify(system)).toInclude('In French.');
    }
  });

  test('images, by value and by address', async () => {
    const answer = await whole('echo', {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
            { type: 'image_url', image_url: { url: 'https://example.com/cat.jpg' } },
          ],
        },
      ],
    });
    const bytes = Buffer.from(png, 'base64').length;
    expect(answer.choices[0]?.message.content).toBe(
      `What is this?\n[image image/png ${bytes} bytes]\n[image https://example.com/cat.jpg]`,
    );
    expect(lastText()).toInclude(png);
  });

  test('a document', async () => {
    const answer = await whole('echo', {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` } },
          ],
        },
      ],
    });
    expect(answer.choices[0]?.message.content).toBe('[document application/pdf 15 bytes]');
    expect(lastText()).toInclude(pdf);
  });

  test('tool results find their calls', async () => {
    const asked = await whole('tool:calls=2', { messages: hello, tools: functions });
    const message = asked.choices[0]?.message;
    if (message === undefined) throw new Error('no answer');
    const results = (message.tool_calls ?? []).map(({ id }, i) => ({
      role: 'tool' as const,
      tool_call_id: id,
      content: `result ${i}`,
    }));
    const answer = await whole('tool', { messages: [...hello, message, ...results], tools: functions });
    expect(answer.choices[0]?.message.content).toInclude('result 1');
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    for (const { tool_call_id, content } of results) {
      expect(lastText()).toInclude(tool_call_id);
      expect(lastText()).toInclude(content);
    }
  });

  test('several answers at once, one by one where the provider gives no more', async () => {
    const calls = provider.requests.length;
    const { choices } = await whole('echo', { messages: hello, n: 2 });
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, 'Hello, wörld 🦊'],
      [1, 'Hello, wörld 🦊'],
    ]);
    expect(provider.requests.length - calls).toBe(up === 'oa' ? 1 : 2);
  });

  describe('usage of a stream', () => {
    test('comes in one last chunk when it was asked for', async () => {
      const chunks = await chunksOf('usage:input=10,output=5', { stream_options: { include_usage: true } });
      const withUsage = chunks.filter(({ usage }) => usage != null);
      expect(withUsage).toHaveLength(1);
      expect(withUsage[0]).toBe(chunks.at(-1)!);
      expect(withUsage[0]).toMatchObject({
        choices: [],
        usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
      });
    });

    test.each([{}, { stream_options: { include_usage: false } }])(
      'does not come when it was not (%p)',
      async (wish) => {
        const chunks = await chunksOf('usage:input=10,output=5', wish);
        expect(chunks.length).toBeGreaterThan(0);
        for (const chunk of chunks) {
          expect(chunk.usage ?? null).toBeNull();
          expect(chunk.choices).toHaveLength(1);
        }
      },
    );

    const chunksOf = async (model: string, wish: object): Promise<OpenAI.ChatCompletionChunk[]> => {
      const stream = await gateway.openai.chat.completions.create({
        model: `${up}/${model}`,
        messages: hello,
        stream: true,
        ...wish,
      });
      return Array.fromAsync(stream);
    };
  });

  test.each(['echo', 'tool', 'reason', 'refuse', 'usage:input=5'])(
    'a stream of %s ends with one [DONE]',
    async (model) => {
      const tools = model === 'tool' ? { tools: functions } : {};
      const response = await gateway.post('/v1/chat/completions', {
        model: `${up}/${model}`,
        messages: hello,
        stream: true,
        ...tools,
      });
      expect(response.headers.get('content-type')).toStartWith('text/event-stream');
      const data = sseEvents(await response.text()).map((event) => event.data);
      expect(data.filter((line) => line === '[DONE]')).toHaveLength(1);
      expect(data.at(-1)).toBe('[DONE]');
      const ids = new Set(data.slice(0, -1).map((line) => JSON.parse(line).id));
      expect(ids.size).toBe(1);
    },
  );
});

function argumentsOf(call: OpenAI.ChatCompletionMessageToolCall | undefined): unknown {
  return call?.type === 'function' ? JSON.parse(call.function.arguments) : undefined;
}

describe.each(['oa', 'an'] as const)('an Anthropic client and provider %s', (up) => {
  const tools: Anthropic.Tool[] = [
    { name: 'get_weather', description: 'Weather of a city', input_schema: weather },
    { name: 'get_time', input_schema: clockSchema },
  ];
  const whole = (model: string, ask: MessageAsk) =>
    gateway.anthropic.messages.create({ model: `${up}/${model}`, max_tokens: 1000, ...ask });
  const streamed = (model: string, ask: MessageAsk) =>
    gateway.anthropic.messages.stream({ model: `${up}/${model}`, max_tokens: 1000, ...ask }).finalMessage();
  const bothWays = [
    ['whole', whole],
    ['streamed', streamed],
  ] as const;

  describe.each(bothWays)('%s', (_way, ask) => {
    test('text', async () => {
      const answer = await ask('echo', { messages: hello });
      expect(answer).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn' });
      expect(answer.content).toMatchObject([{ type: 'text', text: 'Hello, wörld 🦊' }]);
    });

    test('one tool call', async () => {
      const answer = await ask('tool', { messages: hello, tools });
      expect(answer.stop_reason).toBe('tool_use');
      expect(answer.content).toMatchObject([
        { type: 'tool_use', name: 'get_weather', input: { city: 'Hello, wörld 🦊', days: 1 } },
      ]);
    });

    test('parallel tool calls, one of them without arguments', async () => {
      const answer = await ask('tool:calls=2', { messages: hello, tools });
      expect(answer.content).toMatchObject([
        { type: 'tool_use', name: 'get_weather' },
        { type: 'tool_use', name: 'get_time', input: {} },
      ]);
    });

    test('at most one tool call where parallel ones are switched off', async () => {
      const choice = { type: 'auto' as const, disable_parallel_tool_use: true };
      const answer = await ask('tool:calls=2', { messages: hello, tools, tool_choice: choice });
      expect(answer.content).toHaveLength(1);
    });

    test('a tool that must not be called', async () => {
      const answer = await ask('tool', { messages: hello, tools, tool_choice: { type: 'none' } });
      expect(answer.content).toMatchObject([{ type: 'text', text: 'Hello, wörld 🦊' }]);
    });

    test('a tool that must be called', async () => {
      const answer = await ask('tool', {
        messages: hello,
        tools,
        tool_choice: { type: 'tool', name: 'get_time' },
      });
      expect(answer.content).toMatchObject([{ type: 'tool_use', name: 'get_time', input: {} }]);
      expect(answer.stop_reason).toBe('tool_use');
    });

    test('thinking before the text', async () => {
      const answer = await ask('reason', { messages: hello });
      expect(answer.content).toMatchObject([
        { type: 'thinking', thinking: 'The user wrote something. I will answer with their own words.' },
        { type: 'text', text: 'Hello, wörld 🦊' },
      ]);
    });

    test('structured output', async () => {
      const schema = {
        type: 'object',
        properties: { name: { type: 'string' } },
        required: ['name'],
        additionalProperties: false,
      };
      const answer = await ask('json', {
        messages: hello,
        output_config: { format: { type: 'json_schema', schema } },
      });
      const [block] = answer.content;
      expect(JSON.parse(block?.type === 'text' ? block.text : '')).toEqual({ name: 'Hello, wörld 🦊' });
    });

    test('a stop sequence', async () => {
      const answer = await ask('echo', { messages: hello, stop_sequences: ['wörld'] });
      expect(answer.content).toMatchObject([{ type: 'text', text: 'Hello, ' }]);
      // Chat Completions does not tell a stop sequence from an end.
      if (up === 'an') expect(answer).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'wörld' });
      else expect(answer.stop_reason).toBe('end_turn');
    });

    test('the token limit', async () => {
      const answer = await ask('length', { messages: hello, max_tokens: 8 });
      expect(answer.stop_reason).toBe('max_tokens');
      expect(answer.content[0]).toMatchObject({ type: 'text', text: 'The quick brown fox jumps over t' });
    });

    test('a refusal', async () => {
      const answer = await ask('refuse', { messages: hello });
      expect(answer.stop_reason).toBe('refusal');
    });

    test('usage, cached tokens beside the others', async () => {
      const answer = await ask('usage:input=1000,cached=400,written=100,output=70', { messages: hello });
      expect(answer.usage).toMatchObject({
        input_tokens: 500,
        cache_read_input_tokens: 400,
        cache_creation_input_tokens: 100,
        output_tokens: 70,
      });
    });
  });

  test('the system prompt reaches the provider where it looks for it', async () => {
    await whole('echo', { system: [{ type: 'text', text: 'Be terse.' }], messages: hello });
    const { system, messages } = lastBody() as {
      system?: unknown;
      messages: { role: string; content: unknown }[];
    };
    if (up === 'an') expect(JSON.stringify(system)).toInclude('Be terse.');
    else {
      expect(['system', 'developer']).toContain(messages[0]?.role ?? '');
      expect(JSON.stringify(messages[0]?.content)).toInclude('Be terse.');
    }
  });

  test('images, by value and by address', async () => {
    const answer = await whole('echo', {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
            { type: 'image', source: { type: 'url', url: 'https://example.com/cat.jpg' } },
          ],
        },
      ],
    });
    const bytes = Buffer.from(png, 'base64').length;
    expect(answer.content).toMatchObject([
      { text: `What is this?\n[image image/png ${bytes} bytes]\n[image https://example.com/cat.jpg]` },
    ]);
    expect(lastText()).toInclude(png);
  });

  test('a document', async () => {
    const source = { type: 'base64' as const, media_type: 'application/pdf' as const, data: pdf };
    const answer = await whole('echo', {
      messages: [{ role: 'user', content: [{ type: 'document', source }] }],
    });
    expect(answer.content).toMatchObject([{ text: '[document application/pdf 15 bytes]' }]);
    expect(lastText()).toInclude(pdf);
  });

  test('tool results find their calls', async () => {
    const asked = await whole('tool:calls=2', { messages: hello, tools });
    const results = asked.content.flatMap((block, i) =>
      block.type === 'tool_use'
        ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: `result ${i}` }]
        : [],
    );
    expect(results).toHaveLength(2);
    const answer = await whole('tool', {
      messages: [...hello, { role: 'assistant', content: asked.content }, { role: 'user', content: results }],
      tools,
    });
    expect(answer.stop_reason).toBe('end_turn');
    expect(JSON.stringify(answer.content)).toInclude('result 1');
    for (const { tool_use_id, content } of results) {
      expect(lastText()).toInclude(tool_use_id);
      expect(lastText()).toInclude(content);
    }
  });

  test('a failed tool says so', async () => {
    const asked = await whole('tool', { messages: hello, tools });
    const [call] = asked.content;
    const failed = {
      type: 'tool_result' as const,
      tool_use_id: call?.type === 'tool_use' ? call.id : '',
      content: 'no network',
      is_error: true,
    };
    await whole('tool', {
      messages: [
        ...hello,
        { role: 'assistant', content: asked.content },
        { role: 'user', content: [failed] },
      ],
      tools,
    });
    expect(lastText()).toInclude(up === 'an' ? '"is_error":true' : 'Error: no network');
  });

  test.each(['reason', 'reason:redacted=true'])(
    'what %s thought comes back to its own vendor unchanged',
    async (model) => {
      const { content } = await streamed(model, { messages: hello });
      await whole('echo', { messages: [...hello, { role: 'assistant', content }, ...hello] });
      // Thinking without a signature means nothing to any vendor: it is set aside.
      if (up === 'an') expect(lastText()).toInclude(JSON.stringify(content[0]));
      else expect(lastText()).not.toInclude('thinking');
    },
  );

  test.each([
    ['echo', ['text']],
    ['tool:calls=2', ['tool_use', 'tool_use']],
    ['reason', ['thinking', 'text']],
    ['refuse', undefined],
    ['empty', undefined],
  ])('the events of a stream of %s come in order', async (model, blocks) => {
    const withTools = model.startsWith('tool') ? { tools } : {};
    const response = await gateway.post('/v1/messages', {
      model: `${up}/${model}`, max_tokens: 100, messages: hello, stream: true, ...withTools,
    }); // biome-ignore format: one request
    const events = sseEvents(await response.text()).filter(({ event }) => event !== 'ping');
    for (const { event, data } of events) expect(JSON.parse(data).type).toBe(event);
    expect(events.map(({ event }) => event)).toEqual(ordered(events.length, events));
    const opened = events
      .filter(({ event }) => event === 'content_block_start')
      .map(({ data }) => JSON.parse(data));
    expect(opened.map(({ index }) => index)).toEqual(opened.map((_, i) => i));
    if (blocks !== undefined) expect(opened.map(({ content_block }) => content_block.type)).toEqual(blocks);
  });
});

/** The only order there is: start, whole blocks one after another, message_delta, message_stop. */
function ordered(length: number, events: { event: string; data: string }[]): string[] {
  const names: string[] = ['message_start'];
  let open = false;
  for (const { event } of events.slice(1, -2)) {
    const expected = open ? ['content_block_delta', 'content_block_stop'] : ['content_block_start'];
    names.push(expected.includes(event) ? event : `${expected.join(' or ')} rather than ${event}`);
    open = event !== 'content_block_stop';
  }
  if (open) names.push('content_block_stop');
  names.push('message_delta', 'message_stop');
  return names.length === length ? names : [...names, `${length} events`];
}
