/** What the dialects write, the vendors' own clients read: the same text, calls and usage as the hub's. */
import { describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { ChatResponse, DialectName } from '../../src/core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { dialects } from '../../src/dialects/index.ts';
import { type Gist, gistOf, parse } from './gist.ts';
import { readText, tryFold, writeText } from './reading.ts';
import { responses, streams } from './samples.ts';
import { throwsKind } from './verdict.ts';

/** What a vendor's client makes of an answer. */
interface Client {
  /** `text` is a stream. */
  stream(text: string): Promise<SdkGist>;
  whole(body: JsonObject): Promise<SdkGist>;
}

/** The first choice, as far as every client tells. */
interface SdkGist {
  text: string;
  calls: { name: string; input: unknown }[];
  input: number;
  output: number;
}

const answering = (body: string, type: string) => async () =>
  new Response(body, { headers: { 'content-type': type } });
const eventStream = 'text/event-stream';
const json = 'application/json';

const anthropic = (body: string, type: string): Anthropic =>
  new Anthropic({ apiKey: 'none', maxRetries: 0, fetch: answering(body, type) });
const openai = (body: string, type: string): OpenAI =>
  new OpenAI({ apiKey: 'none', maxRetries: 0, fetch: answering(body, type) });

function gistOfMessage({ content, usage, stop_details }: Anthropic.Message): SdkGist {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return {
    text: text + (stop_details?.explanation ?? ''),
    calls: content.flatMap((block) =>
      block.type === 'tool_use' ? [{ name: block.name, input: wholeOnly(block.input as Json) }] : [],
    ),
    input:
      usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0),
    output: usage.output_tokens,
  };
}

function gistOfCompletion({ choices, usage }: OpenAI.ChatCompletion): SdkGist {
  const message = choices[0]?.message;
  return {
    text: (message?.content ?? '') + (message?.refusal ?? ''),
    calls: (message?.tool_calls ?? []).map((call) =>
      call.type === 'custom'
        ? { name: call.custom.name, input: { input: call.custom.input } }
        : { name: call.function.name, input: wholeOnly(parse(call.function.arguments)) },
    ),
    input: usage?.prompt_tokens ?? 0,
    output: usage?.completion_tokens ?? 0,
  };
}

/** Arguments that a token limit cut short each client repairs in its own way. */
function wholeOnly(input: Json): Json {
  return isObject(input) ? input : {};
}

const ask = { model: 'any', max_tokens: 1, messages: [{ role: 'user' as const, content: 'Hello' }] };

/** A dialect without a client of its own here is not tried. */
const clients: Partial<Record<DialectName, Client>> = {
  'anthropic-messages': {
    stream: async (text) =>
      gistOfMessage(await anthropic(text, eventStream).messages.stream(ask).finalMessage()),
    whole: async (body) => gistOfMessage(await anthropic(JSON.stringify(body), json).messages.create(ask)),
  },
  'openai-chat': {
    stream: async (text) =>
      gistOfCompletion(await openai(text, eventStream).chat.completions.stream(ask).finalChatCompletion()),
    whole: async (body) =>
      gistOfCompletion(await openai(JSON.stringify(body), json).chat.completions.create(ask)),
  },
};

function expected(answer: ChatResponse): SdkGist {
  const { choices, usage }: Gist = gistOf(answer);
  const { text = '', calls: told = [] } = choices[0] ?? {};
  const calls = told.map(({ name, input }) => ({ name, input: wholeOnly(input) }));
  return { text, calls, input: usage.input, output: usage.output };
}

/** Clients know the tools of their own dialect only. */
function isForAll({ choices }: ChatResponse): boolean {
  return !choices.some(({ blocks }) => blocks.some(({ type }) => type === 'opaque'));
}

/** The stream helper of `openai` takes functions only. */
function hasCustomCall({ choices }: ChatResponse): boolean {
  return choices.some(({ blocks }) => blocks.some((block) => block.type === 'tool-call' && block.custom));
}

for (const to of dialects.values()) {
  const client = clients[to.name];
  if (client === undefined) continue;
  describe(`the client of ${to.name}`, () => {
    for (const { name, dialect, quirks, content } of streams) {
      const events = readText(dialect, content, quirks);
      const answer = tryFold(events, dialect.name);
      if (answer === undefined || !isForAll(answer) || hasCustomCall(answer)) continue;
      test(`understands a stream: ${name}`, async () => {
        expect(await client.stream(writeText(to, events))).toEqual(expected(answer));
      });
    }

    for (const { name, dialect, quirks, content } of responses) {
      if (throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) continue;
      const answer = dialect.readResponse(content, quirks);
      if (!isForAll(answer)) continue;
      test(`understands an answer: ${name}`, async () => {
        expect(await client.whole(to.writeResponse(structuredClone(answer)))).toEqual(expected(answer));
      });
    }
  });
}
