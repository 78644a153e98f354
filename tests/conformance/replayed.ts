/** Recorded exchanges behind a running gateway, each as a model of its own, at the host it was recorded from. */
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import type { DialectName } from '../../src/core/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { catalogued, placesOf } from '../../src/providers/catalog.ts';
import { startGateway, type TestGateway } from '../e2e/gateway.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { dialectOf, invoked, loadRecordings, type Recording } from '../recordings.ts';
import { aiClients } from './ai-clients.ts';
import { messagesClient } from './anthropic-client.ts';
import { askConverse, askInvoke } from './bedrock-clients.ts';
import type { Ask, Client } from './client.ts';
import { askCohere } from './cohere-client.ts';
import { geminiClient } from './gemini-client.ts';
import { askOllama } from './ollama-client.ts';
import { chatClient, completionsClient, responsesClient } from './openai-clients.ts';

export interface Replayed {
  file: string;
  recording: Recording;
  /** What the provider was asked in. */
  dialect: DialectName;
  streamed: boolean;
  /** The name its provider is asked for it by: that of the recorded model, made unique. */
  upstream: string;
  /** The name clients ask the gateway for it by. */
  model: string;
}

/** A recorded exchange in a language nobody speaks here. */
export type Unspoken = Pick<Recording, 'file' | 'dialect'>;

export const replayed: Replayed[] = [];
export const unspoken: Unspoken[] = [];

for (const [at, recording] of loadRecordings(() => true).entries()) {
  const dialect = dialectOf(recording);
  if (dialect === undefined) {
    unspoken.push(recording);
    continue;
  }
  const { file, response, provider } = recording;
  const { sse, ndjson, eventstream_base64 } = response;
  replayed.push({
    file,
    recording,
    dialect,
    streamed: (sse ?? ndjson ?? eventstream_base64) !== undefined,
    upstream: `${isServed(provider, dialect, recording.model) ? recording.model : 'model'}--${at}`,
    model: `recorded-${at}`,
  });
}

/** The provider answered, and said in its stream that it failed. */
export function failsWithin({ recording }: Replayed): boolean {
  return recording.features.includes('error-in-stream');
}

/** Some were asked for what their host does not serve. */
function isServed(provider: string, dialect: DialectName, model: string): boolean {
  const entry = catalogued(provider);
  const places = entry === undefined ? [] : placesOf(entry, dialect);
  return model !== '' && places.every(({ models }) => models === undefined || models.test(model));
}

// The gateway

/** What clouds want beside a key. */
const settings: Readonly<Record<string, string>> = {
  azure: 'api_version: 2024-10-21',
  bedrock: 'region: us-east-1, access_key_id: up, secret_access_key: secret',
  vertex: 'project: p, location: global, auth: bearer',
  'bedrock-mantle': 'region: us-east-1',
};

/** Where vendors' own paths begin. */
const bases: Partial<Record<DialectName, string>> = {
  gemini: '/v1beta',
  'cohere-v2': '/v2',
  'bedrock-converse': '',
  ollama: '',
};

const providerOf = ({ recording, dialect }: Replayed): string => `${recording.provider}-${dialect}`;

function entryOf({ recording: { provider }, dialect }: Replayed, url: string): string {
  const entry = catalogued(provider);
  const at = (base: string): string => `url: "${url}${base}"`;
  const own = bases[dialect] ?? '/v1';
  if (entry?.speaks[dialect] === undefined) return `{ speaks: ${dialect}, ${at(own)}, key: up }`;
  const more = settings[provider];
  const key = more?.includes('access_key') ? '' : ', key: up';
  // At clouds and local servers, paths lie below the server.
  const base = entry.url === undefined ? own : '';
  return `{ like: ${provider}, speaks: ${dialect}, ${at(base)}${key}${more === undefined ? '' : `, ${more}`} }`;
}

/** Beside those of the recordings, a plain provider for each dialect, by its name. */
function configOf(url: string): string {
  const plain = [...dialects.keys()].map((dialect) => {
    return [dialect, `{ speaks: ${dialect}, url: "${url}${bases[dialect] ?? '/v1'}", key: up }`] as const;
  });
  const providers = new Map<string, string>(plain);
  for (const each of replayed) providers.set(providerOf(each), entryOf(each, url));
  const models = replayed.map((each) => `  ${each.model}: "${providerOf(each)}/${each.upstream}"`);
  const lines = [...providers].map(([name, entry]) => `  ${name}: ${entry}`);
  const named = models.length === 0 ? '' : `models:\n${models.join('\n')}\n`;
  return `providers:\n${lines.join('\n')}\n${named}`;
}

/** Of all clients, in the order in which they are asked. */
export const clientNames: readonly string[] = clientsAt('http://127.0.0.1', 'none').map(({ name }) => name);

/** All clients there are, asking at `url`. */
export function clientsAt(url: string, apiKey: string): Client[] {
  return [...Object.values(officialClients(url, apiKey)), ...aiClients(url, apiKey)];
}

export interface Stage {
  provider: FakeProvider;
  gateway: TestGateway;
  /** All clients of the gateway. */
  clients: Client[];
  /** Asks the provider itself, by the client of its own vendor. */
  witness(each: Replayed): Ask;
  stop(): Promise<void>;
}

export async function raiseStage(key: string): Promise<Stage> {
  const provider = await startFakeProvider({
    recordings: join(import.meta.dir, '../../../shared/recordings'),
  });
  for (const { upstream, file } of replayed) provider.script(upstream, `replay:${file}`);
  const gateway = await startGateway(configOf(provider.url));
  const witnesses = witnessesAt(provider.url);
  return {
    provider,
    gateway,
    clients: clientsAt(gateway.url, key),
    witness: ({ recording, dialect }) => witnesses[recording.dialect === invoked ? invoked : dialect]!,
    async stop() {
      await gateway.stop();
      await provider.stop();
    },
  };
}

/** The client of each dialect that clients speak, all of them asking at `url`. */
function officialClients(url: string, apiKey: string): Record<string, Client> {
  const openai = new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
  const anthropic = new Anthropic({ apiKey, baseURL: url, maxRetries: 0 });
  const google = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url, retryOptions: { attempts: 1 } } });
  return {
    'openai-chat': chatClient(openai),
    'openai-responses': responsesClient(openai),
    'openai-completions': completionsClient(openai),
    'anthropic-messages': messagesClient(anthropic),
    gemini: geminiClient(google),
  };
}

/** The vendors' own clients, asking the provider itself, by the dialect it is asked in. */
function witnessesAt(url: string): Record<string, Ask> {
  const others = {
    'bedrock-converse': askConverse(url),
    [invoked]: askInvoke(url),
    'cohere-v2': askCohere(url),
    ollama: askOllama(url),
  };
  const clients = Object.entries(officialClients(url, 'none')).map(([dialect, { ask }]) => [dialect, ask]);
  return { ...Object.fromEntries(clients), ...others };
}
