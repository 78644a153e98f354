/** Plain requests of every dialect that clients speak, for tests that look at the bytes of answers. */
import type { JsonObject } from '../../src/core/json.ts';
import { type ClientDialect, isClientDialect } from '../../src/dialects/dialect.ts';
import { dialects } from '../../src/dialects/index.ts';
import { anything, hello } from './client.ts';
import type { Replayed } from './replayed.ts';

export interface RawWish {
  model: string;
  stream: boolean;
  /** Names of tools. */
  tools?: readonly string[];
  /** JSON Schema of the answer. */
  schema?: JsonObject;
}

export interface RawRequest {
  path: string;
  body: JsonObject;
}

const messages = [{ role: 'user', content: hello }];

const writers: Readonly<Record<string, (wish: RawWish) => JsonObject>> = {
  'openai-chat': ({ model, stream, tools, schema }) => ({
    model,
    messages,
    stream,
    ...(stream && { stream_options: { include_usage: true } }),
    ...(tools && {
      tools: tools.map((name) => ({ type: 'function', function: { name, parameters: anything } })),
    }),
    ...(schema && { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } } }),
  }),
  'openai-completions': ({ model, stream }) => ({
    model,
    prompt: hello,
    stream,
    ...(stream && { stream_options: { include_usage: true } }),
  }),
  'openai-responses': ({ model, stream, tools, schema }) => ({
    model,
    input: hello,
    stream,
    store: false,
    ...(tools && { tools: tools.map((name) => ({ type: 'function', name, parameters: anything })) }),
    ...(schema && { text: { format: { type: 'json_schema', name: 'answer', schema } } }),
  }),
  'anthropic-messages': ({ model, stream, tools, schema }) => ({
    model,
    messages,
    max_tokens: 100,
    stream,
    ...(tools && { tools: tools.map((name) => ({ name, input_schema: anything })) }),
    ...(schema && { output_config: { format: { type: 'json_schema', schema } } }),
  }),
  gemini: ({ tools, schema }) => ({
    contents: [{ role: 'user', parts: [{ text: hello }] }],
    ...(tools && { tools: [{ functionDeclarations: tools.map((name) => ({ name })) }] }),
    ...(schema && {
      generationConfig: { responseMimeType: 'application/json', responseJsonSchema: schema },
    }),
  }),
};

/** @param dialect one that clients speak. */
export function rawRequest({ name, clientPath }: ClientDialect, wish: RawWish): RawRequest {
  const body = writers[name]!(wish);
  if (name !== 'gemini') return { path: clientPath, body };
  const verb = wish.stream ? 'streamGenerateContent?alt=sse' : 'generateContent';
  return { path: `/v1beta/models/${encodeURIComponent(wish.model)}:${verb}`, body };
}

/** The dialect of a recording, where clients speak it. */
export function clientDialectOf({ dialect }: Replayed): ClientDialect | undefined {
  const spoken = dialects.get(dialect)!;
  return isClientDialect(spoken) ? spoken : undefined;
}
