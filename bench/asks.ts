/** What is asked in the benchmark: the same conversation in every dialect, as applications send it. */
import { dialects } from '../src/dialects/index.ts';

/** Where a provider of each dialect lives below the upstream's address, as its vendor has it. */
export const providerBases = {
  'openai-chat': '/v1',
  'anthropic-messages': '/v1',
  'openai-responses': '/v1',
  gemini: '/v1beta',
  'bedrock-converse': '',
  'cohere-v2': '/v2',
  ollama: '',
} as const;

export type ProviderDialect = keyof typeof providerBases;
export const providerDialects = Object.keys(providerBases) as ProviderDialect[];

/** One request as it goes over the wire, whoever gets it. */
export interface Sent {
  path: string;
  headers: Record<string, string>;
  body: string;
}

export interface Question {
  model: string;
  stream?: boolean;
  /** The last thing that is said, instead of the usual. */
  prompt?: string;
}

export const key = 'sk-bench-0123456789abcdef0123456789abcdef';

/** Whoever routes by name finds the provider of a dialect under this one. */
export function modelAt(provider: ProviderDialect, model: string): string {
  return `${provider}-${model}`;
}

/** A conversation of usual size. */
const instructions = 'You are the harbour master. Answer in one paragraph, and name the hours. '.repeat(4);
const question = 'When does the harbour open?';
const answer = 'At six, and the tide is with us until half past nine.';
const nextQuestion = 'How long do we have until the tide turns, and who is on watch?';
const temperature = 0.7;
const maxTokens = 512;

function turns(prompt = nextQuestion): { role: 'user' | 'assistant'; content: string }[] {
  return [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
    { role: 'user', content: prompt },
  ];
}

interface Client {
  headers: Record<string, string>;
  body(asked: Question): object;
  /** Stands at the end of every complete stream. */
  lastWord: string;
}

const clients = {
  'openai-chat': {
    headers: { authorization: `Bearer ${key}` },
    body: ({ model, stream, prompt }) => ({
      model,
      messages: [{ role: 'system', content: instructions }, ...turns(prompt)],
      temperature,
      max_tokens: maxTokens,
      ...(stream && { stream }),
    }),
    lastWord: 'data: [DONE]',
  },
  'anthropic-messages': {
    headers: { 'x-api-key': key, 'anthropic-version': '2023-06-01' },
    body: ({ model, stream, prompt }) => ({
      model,
      max_tokens: maxTokens,
      system: instructions,
      messages: turns(prompt),
      temperature,
      ...(stream && { stream }),
    }),
    lastWord: 'event: message_stop',
  },
  'openai-responses': {
    headers: { authorization: `Bearer ${key}` },
    body: ({ model, stream, prompt }) => ({
      model,
      instructions,
      input: turns(prompt),
      temperature,
      max_output_tokens: maxTokens,
      ...(stream && { stream }),
    }),
    lastWord: 'event: response.completed',
  },
  gemini: {
    headers: { 'x-goog-api-key': key },
    body: ({ prompt }) => ({
      systemInstruction: { parts: [{ text: instructions }] },
      contents: turns(prompt).map(({ role, content }) => ({
        role: role === 'assistant' ? 'model' : role,
        parts: [{ text: content }],
      })),
      generationConfig: { temperature, maxOutputTokens: maxTokens },
    }),
    lastWord: '"finishReason":"STOP"',
  },
} satisfies Partial<Record<ProviderDialect, Client>>;

export type ClientName = keyof typeof clients;
export const clientNames = Object.keys(clients) as ClientName[];

/** The question as a client of this dialect sends it. */
export function askAs(name: ClientName, asked: Question): Sent {
  const client: Client = clients[name];
  return {
    path: pathOf(name, asked),
    headers: { 'content-type': 'application/json', ...client.headers },
    body: JSON.stringify(client.body(asked)),
  };
}

/** Some call on a provider of this dialect: the upstream reads its path and its model only. */
export function callOn(provider: ProviderDialect, asked: Question): Sent {
  return { ...askAs('openai-chat', asked), path: pathOf(provider, asked) };
}

export function lastWordOf(name: ClientName): string {
  return clients[name].lastWord;
}

function pathOf(provider: ProviderDialect, { model, stream = false }: Question): string {
  return providerBases[provider] + dialects.get(provider)!.path(model, stream);
}

/** The request as HTTP/1.1 has it. */
export function httpBytes({ path, headers, body }: Sent, port: number): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return (
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n` +
    `${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
