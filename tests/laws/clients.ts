/** The vendors' own clients, and what they make of an answer. */
import Anthropic from '@anthropic-ai/sdk';
import { type GenerateContentResponse, GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import type { DialectName } from '../../src/core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { parse } from './gist.ts';

/** One client, given an answer as it stands on the wire. */
export interface Client {
  stream(text: string): Promise<SdkGist>;
  whole(body: JsonObject): Promise<SdkGist>;
  /** Its stream helper takes functions only, no tools of free text. */
  functionsOnly?: boolean;
}

/** The first choice, as far as every client tells. */
export interface SdkGist {
  text: string;
  calls: { name: string; input: Json }[];
  input: number;
  /** The part of `input` that came from a cache. */
  cached: number;
  output: number;
}

const eventStream = 'text/event-stream';
const json = 'application/json';

const answering = (body: string, type: string) => async () =>
  new Response(body, { headers: { 'content-type': type } });

const anthropic = (body: string, type: string): Anthropic =>
  new Anthropic({ apiKey: 'none', maxRetries: 0, fetch: answering(body, type) });
const openai = (body: string, type: string): OpenAI =>
  new OpenAI({ apiKey: 'none', maxRetries: 0, fetch: answering(body, type) });
const google = (body: string, type: string): GoogleGenAI =>
  new GoogleGenAI({ apiKey: 'none', httpOptions: { fetch: answering(body, type) } });

/** Arguments that a token limit cut short each client repairs in its own way. */
export function wholeOnly(input: Json): Json {
  return isObject(input) ? input : {};
}

function gistOfMessage({ content, usage, stop_details }: Anthropic.Message): SdkGist {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return {
    text: text + (stop_details?.explanation ?? ''),
    calls: content.flatMap((block) =>
      block.type === 'tool_use' ? [{ name: block.name, input: wholeOnly(block.input as Json) }] : [],
    ),
    input:
      usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0),
    cached: usage.cache_read_input_tokens ?? 0,
    output: usage.output_tokens,
  };
}

function gistOfCompletion({ choices, usage }: OpenAI.ChatCompletion): SdkGist {
  const message = choices[0]?.message;
  const functions = message?.function_call ? [message.function_call] : [];
  const calls = (message?.tool_calls ?? []).map((call) =>
    call.type === 'custom'
      ? { name: call.custom.name, input: { input: call.custom.input } }
      : { name: call.function.name, input: wholeOnly(parse(call.function.arguments)) },
  );
  for (const { name, arguments: text } of functions) calls.push({ name, input: wholeOnly(parse(text)) });
  return {
    text: (message?.content ?? '') + (message?.refusal ?? ''),
    calls,
    input: usage?.prompt_tokens ?? 0,
    cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output: usage?.completion_tokens ?? 0,
  };
}

function gistOfTextCompletion({ choices, usage }: OpenAI.Completion): SdkGist {
  return {
    text: choices[0]?.text ?? '',
    calls: [],
    input: usage?.prompt_tokens ?? 0,
    cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output: usage?.completion_tokens ?? 0,
  };
}

function gistOfResponse({ output, usage }: OpenAI.Responses.Response): SdkGist {
  const said = output.flatMap((item) => (item.type === 'message' ? item.content : []));
  return {
    text: said.map((part) => (part.type === 'refusal' ? part.refusal : part.text)).join(''),
    calls: output.flatMap((item) => {
      if (item.type === 'custom_tool_call') return [{ name: item.name, input: { input: item.input } }];
      if (item.type !== 'function_call') return [];
      return [{ name: item.name, input: wholeOnly(parse(item.arguments)) }];
    }),
    input: usage?.input_tokens ?? 0,
    cached: usage?.input_tokens_details.cached_tokens ?? 0,
    output: usage?.output_tokens ?? 0,
  };
}

/** Every chunk is a piece of the answer; the last usage counts. */
function gistOfContent(chunks: readonly GenerateContentResponse[]): SdkGist {
  const parts = chunks.flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? []);
  const usage = chunks.findLast(({ usageMetadata }) => usageMetadata !== undefined)?.usageMetadata;
  return {
    text: parts.map(({ text, thought }) => (thought ? '' : (text ?? ''))).join(''),
    calls: parts.flatMap(({ functionCall }) =>
      functionCall === undefined
        ? []
        : [{ name: functionCall.name ?? '', input: wholeOnly(functionCall.args as Json) }],
    ),
    input: (usage?.promptTokenCount ?? 0) + (usage?.toolUsePromptTokenCount ?? 0),
    cached: usage?.cachedContentTokenCount ?? 0,
    output: (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0),
  };
}

async function listAll<Each>(stream: AsyncIterable<Each>): Promise<Each[]> {
  const list: Each[] = [];
  for await (const each of stream) list.push(each);
  return list;
}

/** Joins the pieces of the first choice. */
function joinCompletions(chunks: readonly OpenAI.Completion[]): OpenAI.Completion {
  const text = chunks
    .flatMap(({ choices }) => choices.filter(({ index }) => index === 0))
    .map((choice) => choice.text)
    .join('');
  const last = chunks.at(-1)!;
  const usage = chunks.findLast((chunk) => chunk.usage != null)?.usage;
  return { ...last, usage, choices: [{ index: 0, text, finish_reason: 'stop', logprobs: null }] };
}

const ask = { model: 'any', max_tokens: 1, messages: [{ role: 'user' as const, content: 'Hello' }] };
const askText = { model: 'any', prompt: 'Hello' };
const askItems = { model: 'any', input: 'Hello' };
const askContents = { model: 'any', contents: 'Hello' };

/** A dialect without a client of its own here is not tried. */
export const clients: Partial<Record<DialectName, Client>> = {
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
    functionsOnly: true,
  },
  'openai-completions': {
    stream: async (text) => {
      const stream = await openai(text, eventStream).completions.create({ ...askText, stream: true });
      return gistOfTextCompletion(joinCompletions(await listAll(stream)));
    },
    whole: async (body) =>
      gistOfTextCompletion(await openai(JSON.stringify(body), json).completions.create(askText)),
  },
  'openai-responses': {
    stream: async (text) =>
      gistOfResponse(await openai(text, eventStream).responses.stream(askItems).finalResponse()),
    whole: async (body) =>
      gistOfResponse(await openai(JSON.stringify(body), json).responses.create(askItems)),
  },
  gemini: {
    stream: async (text) => {
      const stream = await google(text, eventStream).models.generateContentStream(askContents);
      return gistOfContent(await listAll(stream));
    },
    whole: async (body) =>
      gistOfContent([await google(JSON.stringify(body), json).models.generateContent(askContents)]),
  },
};
