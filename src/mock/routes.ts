/** Which path asks for what, in which wire language, on which host. */
import { type Framing, framings } from './framing.ts';
import { amazon } from './voices/amazon.ts';
import { google } from './voices/google.ts';
import { azure } from './voices/openai.ts';
import type { Given, Voice, Wire } from './wire.ts';
import { anthropicMessages } from './wires/anthropic-messages.ts';
import { bedrockConverse } from './wires/bedrock-converse.ts';
import { cohereV2 } from './wires/cohere-v2.ts';
import { gemini } from './wires/gemini.ts';
import { ollama } from './wires/ollama.ts';
import { openaiChat } from './wires/openai-chat.ts';
import { openaiCompletions } from './wires/openai-completions.ts';
import { openaiResponses } from './wires/openai-responses.ts';

/** A request as the mock sees it, wherever it came from. */
export interface Incoming {
  method: string;
  /** With the query. */
  path: string;
  header(name: string): string | null | undefined;
  headers(): Record<string, string>;
  body: string;
}

/** What a path asks for. */
export interface Asked {
  wire: Wire;
  voice: Voice;
  act: 'chat' | 'count' | 'list';
  framing: Framing;
  given: Omit<Given, 'kept'>;
}

/** `chat` leaves to the body whether a stream is wanted. */
type Act = 'chat' | 'whole' | 'stream' | 'count' | 'list';

interface Route {
  /** Its groups: `model` as it stands in the path, and `verb`, for which `act` may have words. */
  path: RegExp;
  act: Act | Readonly<Record<string, Act>>;
  wire: Wire;
  /** Where the host words failures, not the wire. */
  voice?: Voice;
  framing?: (query: URLSearchParams) => Framing;
  /** `anthropic_version` the host demands. */
  version?: string;
  /** Header without which it is another route. */
  header?: string;
  /** Query member without which there is nothing. */
  query?: string;
}

const vertexVersion = 'vertex-2023-10-16';

const routes: readonly Route[] = [
  // Azure names the model by its deployment.
  {
    path: /\/deployments\/(?<model>[^/]+)\/chat\/completions$/,
    act: 'chat',
    wire: openaiChat,
    voice: azure,
    query: 'api-version',
  },
  {
    path: /\/deployments\/(?<model>[^/]+)\/completions$/,
    act: 'chat',
    wire: openaiCompletions,
    voice: azure,
    query: 'api-version',
  },
  { path: /\/chat\/completions$/, act: 'chat', wire: openaiChat },
  { path: /\/completions$/, act: 'chat', wire: openaiCompletions },
  { path: /\/responses$/, act: 'chat', wire: openaiResponses },
  { path: /\/messages$/, act: 'chat', wire: anthropicMessages },
  { path: /\/messages\/count_tokens$/, act: 'count', wire: anthropicMessages },
  // Claude on Vertex, where a model of this name counts tokens for others.
  {
    path: /\/publishers\/anthropic\/models\/count-tokens:rawPredict$/,
    act: 'count',
    wire: anthropicMessages,
    voice: google,
    version: vertexVersion,
  },
  {
    path: /\/publishers\/anthropic\/models\/(?<model>.+):(?<verb>rawPredict|streamRawPredict)$/,
    act: { rawPredict: 'whole', streamRawPredict: 'stream' },
    wire: anthropicMessages,
    voice: google,
    version: vertexVersion,
  },
  {
    path: /\/models\/(?<model>.+):(?<verb>generateContent|streamGenerateContent|countTokens)$/,
    act: { generateContent: 'whole', streamGenerateContent: 'stream', countTokens: 'count' },
    wire: gemini,
    framing: (query) => (query.get('alt') === 'sse' ? framings.crlf : framings.array),
  },
  {
    path: /\/model\/(?<model>.+)\/(?<verb>converse|converse-stream)$/,
    act: { converse: 'whole', 'converse-stream': 'stream' },
    wire: bedrockConverse,
    framing: () => framings.awsEvents,
  },
  {
    path: /\/model\/(?<model>.+)\/(?<verb>invoke|invoke-with-response-stream)$/,
    act: { invoke: 'whole', 'invoke-with-response-stream': 'stream' },
    wire: anthropicMessages,
    voice: amazon,
    framing: () => framings.awsChunks,
    version: 'bedrock-2023-05-31',
  },
  { path: /\/v2\/chat$/, act: 'chat', wire: cohereV2 },
  { path: /\/api\/chat$/, act: 'chat', wire: ollama, framing: () => framings.ndjson },
  { path: /\/api\/tags$/, act: 'list', wire: ollama },
  { path: /\/v1beta\/models$/, act: 'list', wire: gemini },
  { path: /\/models$/, act: 'list', wire: anthropicMessages, header: 'anthropic-version' },
  { path: /\/models$/, act: 'list', wire: openaiChat },
];

/** What is asked for; undefined where nothing listens. */
export function matchPath({ path, header }: Incoming): Asked | undefined {
  const [pathname, query] = splitPath(path);
  for (const route of routes) {
    const found = route.path.exec(pathname);
    if (found === null) continue;
    if (route.header !== undefined && header(route.header) == null) continue;
    if (route.query !== undefined && !query.has(route.query)) return undefined;
    const { wire, voice = wire.voice, framing, version } = route;
    const act = typeof route.act === 'string' ? route.act : (route.act[found.groups?.verb ?? ''] ?? 'chat');
    return {
      wire,
      voice,
      act: act === 'count' || act === 'list' ? act : 'chat',
      framing: framing?.(query) ?? framings.sse,
      given: {
        model: decode(found.groups?.model),
        stream: act === 'stream' ? true : act === 'whole' ? false : undefined,
        counts: act === 'count',
        version,
        header,
      },
    };
  }
  return undefined;
}

/** The path without its query, and that. */
export function splitPath(path: string): [pathname: string, query: URLSearchParams] {
  const at = path.indexOf('?');
  return at < 0
    ? [path, new URLSearchParams()]
    : [path.slice(0, at), new URLSearchParams(path.slice(at + 1))];
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
