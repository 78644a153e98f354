/** Real provider traffic, replayed behind the gateway: each vendor's client reads what it says as the provider's own does. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { isObject, type Json } from '../../src/core/json.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { haveRecordings, loadRecordings, type Recording } from '../recordings.ts';
import { forced, relayOnly, startGateway, type TestGateway, twoProviders } from './gateway.ts';

let provider: FakeProvider;
let gateway: TestGateway;
let direct: Clients;
let through: Clients;

beforeAll(async () => {
  provider = await startFakeProvider({ recordings: join(import.meta.dir, '../../../shared/recordings') });
  gateway = await startGateway(twoProviders(provider.base));
  const sdk = { apiKey: 'none', maxRetries: 0 };
  direct = clients(
    new OpenAI({ ...sdk, baseURL: provider.base }),
    new Anthropic({ ...sdk, baseURL: provider.url }),
  );
  through = clients(gateway.openai, gateway.anthropic);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

type Vendor = 'openai' | 'anthropic';
const speaks: Readonly<Record<string, Vendor>> = {
  'openai-chat': 'openai',
  'deepseek-chat': 'openai',
  'mistral-chat': 'openai',
  'anthropic-messages': 'anthropic',
};
const providers = { openai: 'oa', anthropic: 'an' } as const;
const other = { openai: 'anthropic', anthropic: 'openai' } as const;

/** What every client tells of an answer. */
interface Reading {
  text: string;
  calls: { name: string; input: Json }[];
  stop: 'stop' | 'length' | 'tool' | 'refused';
  input: number;
  output: number;
  cached: number;
}

interface Clients {
  read(vendor: Vendor, model: string, stream: boolean): Promise<Reading>;
}

const messages = [{ role: 'user' as const, content: 'Hello' }];

function clients(openai: OpenAI, anthropic: Anthropic): Clients {
  return {
    async read(vendor, model, stream) {
      if (vendor === 'anthropic') {
        const ask = { model, messages, max_tokens: 100 };
        return readMessage(
          stream ? await anthropic.messages.stream(ask).finalMessage() : await anthropic.messages.create(ask),
        );
      }
      if (!stream) return readCompletion(await openai.chat.completions.create({ model, messages }));
      const ask = { model, messages, stream_options: { include_usage: true } };
      return readCompletion(await openai.chat.completions.stream(ask).finalChatCompletion());
    },
  };
}

const stops: Readonly<Record<string, Reading['stop']>> = {
  length: 'length',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_calls: 'tool',
  function_call: 'tool',
  tool_use: 'tool',
  content_filter: 'refused',
  refusal: 'refused',
};

function readMessage({ content, usage, stop_reason, stop_details }: Anthropic.Message): Reading {
  const calls = content.flatMap((block) =>
    block.type === 'tool_use' ? [{ name: block.name, input: wholeOnly(block.input as Json) }] : [],
  );
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    text:
      content.map((block) => (block.type === 'text' ? block.text : '')).join('') +
      (stop_details?.explanation ?? ''),
    calls,
    stop: stops[stop_reason ?? ''] ?? 'stop',
    input: usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + cached,
    output: usage.output_tokens,
    cached,
  };
}

function readCompletion({ choices, usage }: OpenAI.ChatCompletion): Reading {
  const [choice] = choices;
  const message = choice?.message;
  const calls = (message?.tool_calls ?? []).flatMap((call) =>
    call.type === 'function'
      ? [{ name: call.function.name, input: wholeOnly(parse(call.function.arguments)) }]
      : [],
  );
  const called = message?.function_call;
  if (called) calls.push({ name: called.name, input: wholeOnly(parse(called.arguments)) });
  const refused = typeof message?.refusal === 'string' && message.refusal !== '';
  const stop = stops[choice?.finish_reason ?? ''] ?? 'stop';
  return {
    text: (message?.content ?? '') + (message?.refusal ?? ''),
    calls,
    // Some hosts say `stop` where a tool was forced; a refusal is told by where its words stand.
    stop: refused ? 'refused' : stop === 'stop' && calls.length > 0 ? 'tool' : stop,
    input: usage?.prompt_tokens ?? 0,
    output: usage?.completion_tokens ?? 0,
    cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** Arguments that a token limit cut short each client repairs in its own way. */
const wholeOnly = (input: Json): Json => (isObject(input) ? input : {});

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const recordings = loadRecordings(({ dialect }) => dialect in speaks);
const named = (pick: (recording: Recording) => boolean) =>
  recordings.filter(pick).map((recording) => [recording.file, recording] as const);
const vendorOf = (recording: Recording): Vendor => speaks[recording.dialect]!;
const isStream = ({ response }: Recording): boolean => response.sse !== undefined;

/** What the gateway tells better than the provider's own client, and why. */
const corrections: readonly { file: RegExp; why: string; reading: Partial<Reading> }[] = [
  {
    file: /azure-grok.*use-tools-without-parame/,
    why: 'the prompt left its cached tokens out',
    reading: { input: 750 },
  },
  {
    file: /moonshotai-reasoning/,
    why: 'cached tokens stand where the client does not look',
    reading: { cached: 10 },
  },
  {
    file: /test-openai-moderation-stream/,
    why: 'the client forgets usage when a chunk follows it',
    reading: { input: 13, output: 11 },
  },
  { file: /xai-text\.0\.vercel\.json/, why: 'output left reasoning out', reading: { output: 229 } },
  { file: /xai-text\.0\.vercel\.stream/, why: 'output left reasoning out', reading: { output: 291 } },
  { file: /xai-tool-call\.0\.vercel\.json/, why: 'output left reasoning out', reading: { output: 215 } },
  { file: /xai-tool-call\.0\.vercel\.stream/, why: 'output left reasoning out', reading: { output: 222 } },
];
const correctionOf = (file: string): Partial<Reading> =>
  corrections.find((each) => each.file.test(file))?.reading ?? {};

/** The vendor's own client cannot read these: a message begins twice, or JSON is not declared as such. */
const unreadable = /duplicate-message-start|together\/test-async-chat/;

/** Refusals whose words tell more than their status: there is no such model. */
const notFoundBy400 = /rejects-an-unknown-model|routed-failure-error-shape/;

/** Its content is of kinds that only this dialect has (functions are what came before tools): no other client asks so. */
const isForAll = ({ features, stopReason }: Recording): boolean =>
  stopReason !== 'function_call' &&
  !features.some((feature) => ['server-tools', 'audio', 'context-mgmt'].includes(feature));

describe.skipIf(!haveRecordings)('recorded answers', () => {
  const answers = named(({ response }) => response.status < 400);
  const readable = answers.filter(([file]) => !unreadable.test(file));

  test.each(readable)("are the same to the vendor's own client: %s", async (file, recording) => {
    const vendor = vendorOf(recording);
    const said = await direct.read(vendor, `replay:${file}`, isStream(recording));
    const heard = await through.read(vendor, `${providers[vendor]}/replay:${file}`, isStream(recording));
    expect(heard).toEqual(forced ? { ...said, ...correctionOf(file) } : said);
  });

  test.each(readable.filter(([, recording]) => isForAll(recording)))(
    "are the same to the other vendor's client: %s",
    async (file, recording) => {
      const vendor = vendorOf(recording);
      const said = await direct.read(vendor, `replay:${file}`, isStream(recording));
      const heard = await through.read(
        other[vendor],
        `${providers[vendor]}/replay:${file}`,
        isStream(recording),
      );
      expect(heard).toEqual({ ...said, ...correctionOf(file) });
    },
  );

  test('in spite of what the vendor gets wrong', async () => {
    const duplicate = answers.find(([file]) => file.includes('duplicate-message-start'))![0];
    expect(await through.read('openai', `an/replay:${duplicate}`, true)).toMatchObject({ stop: 'stop' });
    const untyped = answers.find(([file]) => file.includes('together/test-async-chat'))![0];
    const { text } = await through.read('openai', `oa/replay:${untyped}`, false);
    expect(text).toStartWith('The sky appears blue because');
  });

  relayOnly.each(answers)('pass byte for byte: %s', async (file, recording) => {
    const vendor = vendorOf(recording);
    const path = vendor === 'openai' ? '/v1/chat/completions' : '/v1/messages';
    const stream = isStream(recording);
    const body = {
      messages,
      max_tokens: 100,
      stream,
      ...(stream && vendor === 'openai' && { stream_options: { include_usage: true } }),
    };
    const headers = { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' };
    const ask = { method: 'POST', headers, body: JSON.stringify({ model: `replay:${file}`, ...body }) };
    const said = await (await fetch(provider.url + path, ask)).text();
    const heard = await gateway.post(path, { model: `${providers[vendor]}/replay:${file}`, ...body });
    const text = await heard.text();
    // Recorders dropped some last words; the gateway puts them back.
    expect(text.replace(/data: \[DONE\]\s*$/, '').trimEnd()).toBe(
      said.replace(/data: \[DONE\]\s*$/, '').trimEnd(),
    );
  });
});

describe.skipIf(!haveRecordings)('recorded refusals', () => {
  const refusals = named(({ response }) => response.status >= 400);
  const bases = { openai: OpenAI.APIError, anthropic: Anthropic.APIError };
  const fail = async (reading: Promise<Reading>): Promise<InstanceType<typeof OpenAI.APIError>> => {
    const thrown: unknown = await reading.then(
      () => new Error('it was answered'),
      (error: unknown) => error,
    );
    return thrown as InstanceType<typeof OpenAI.APIError>;
  };

  describe.each(['openai', 'anthropic'] as const)('reach a client of %s', (client) => {
    test.each(refusals)('as what they are: %s', async (file, recording) => {
      const vendor = vendorOf(recording);
      const error = await fail(through.read(client, `${providers[vendor]}/replay:${file}`, false));
      expect(error).toBeInstanceOf(bases[client]);
      const { status } = recording.response;
      // A refusal of the gateway's own key is not the client's business.
      const known = (client !== vendor || forced) && notFoundBy400.test(file) ? 404 : status;
      expect(error.status).toBe(status === 401 || status === 403 ? 502 : known);
      expect(error.message.length).toBeGreaterThan(10);
      expect(error.headers?.get('x-request-id')).toBeString();
    });

    test.each(refusals)('also where a stream was asked for: %s', async (file, recording) => {
      const vendor = vendorOf(recording);
      const whole = await fail(through.read(client, `${providers[vendor]}/replay:${file}`, false));
      const streamed = await fail(through.read(client, `${providers[vendor]}/replay:${file}`, true));
      expect(streamed.status).toBe(whole.status);
      expect(streamed.constructor).toBe(whole.constructor);
    });
  });
});
