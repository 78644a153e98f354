/**
 * The hub: one chat request, one answer and one stream of events that every dialect reads into and writes from.
 *
 * It is a union of the dialects, not their intersection. What only one dialect knows travels in `extra` (members by
 * their wire name) or in an `opaque` block, so that read ∘ write of the same dialect loses nothing, and core/loss.ts
 * can name what another dialect cannot say.
 */
import type { Json, JsonObject } from './json.ts';
import type { Usage } from './usage.ts';

export type DialectName =
  | 'openai-chat'
  | 'openai-completions'
  | 'openai-responses'
  | 'anthropic-messages'
  | 'gemini'
  | 'bedrock-converse'
  | 'cohere-v2'
  | 'ollama';

/** Those that clients speak too. */
export const clientDialectNames = [
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'gemini',
  'openai-completions',
] as const satisfies readonly DialectName[];

export type ClientDialectName = (typeof clientDialectNames)[number];

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

export interface ChatRequest {
  /** The dialect this was read from: whose words `extra` and `opaque` are. */
  dialect: DialectName;
  model: string;
  /** In order, instructions included wherever they stand. */
  messages: Message[];
  tools?: Tool[];
  toolChoice?: ToolChoice;
  /** false: at most one tool call in an answer. */
  parallelTools?: boolean;
  maxTokens?: number;
  temperature?: number;
  topP?: number;
  topK?: number;
  /** Never empty, never empty strings. */
  stop?: string[];
  seed?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  logitBias?: JsonObject;
  /** How many answers; absent means one. */
  n?: number;
  /** Log-probabilities wanted, with this many alternatives per token (0: only the chosen one). */
  logprobs?: number;
  reasoning?: ReasoningWish;
  format?: OutputFormat;
  stream: boolean;
  /** The client asked for usage at the end of the stream (Anthropic always wants it). */
  streamUsage?: boolean;
  /** Who the end user is, as the application calls them. */
  user?: string;
  metadata?: JsonObject;
  serviceTier?: string;
  /** The answer is to be kept, so that a later request can go on from it (`previousResponseId`); absent: as the dialect does. */
  store?: boolean;
  /** Id of a kept answer this request goes on from, where it is the provider's own to look up. */
  previousResponseId?: string;
  /** What the model thinks is wanted encrypted, to be sent back by the client; answers of other dialects always carry it. */
  replayable?: true;
  /** Top-level members only `dialect` knows, by wire name. */
  extra?: JsonObject;
}

/** `effort` and `budgetTokens` are two ways to say the same; whichever the client used is set. */
export interface ReasoningWish {
  /** false: do not reason. Absent: as the model likes. */
  enabled?: boolean;
  effort?: Effort;
  budgetTokens?: number;
  /** Anthropic's adaptive thinking: the model decides how much. */
  adaptive?: boolean;
  /** What of the reasoning is shown. */
  display?: string;
}

export type OutputFormat =
  | { type: 'json' }
  | { type: 'schema'; schema: Json; name?: string; description?: string; strict?: boolean | null };

export interface Message {
  role: 'system' | 'user' | 'assistant';
  blocks: Block[];
  /** Instructions in a member of their own, where its dialect also has instructions among the messages. */
  apart?: true;
  /** The last one, of the model: the beginning of an answer that it is to go on with. */
  unfinished?: true;
  /** Members only the request's dialect knows (`name`, a `developer` role…). */
  extra?: JsonObject;
}

export type Block =
  | TextBlock
  | MediaBlock
  | ReasoningBlock
  | ToolCallBlock
  | ToolResultBlock
  | RefusalBlock
  | OpaqueBlock;

interface Common {
  extra?: JsonObject;
}

/** Opaque state of one vendor's model (a thought signature), to be handed back on the same block, to that vendor only. */
export interface VendorState {
  vendor: DialectName;
  value: string;
}

export interface TextBlock extends Common {
  type: 'text';
  text: string;
  citations?: Citation[];
  state?: VendorState;
}

/** An image, a document, audio or video. */
export interface MediaBlock extends Common {
  type: 'media';
  media: 'image' | 'document' | 'audio' | 'video';
  source:
    | { type: 'base64'; mimeType: string; data: string }
    | { type: 'url'; url: string }
    | { type: 'file'; id: string }
    | { type: 'text'; mimeType: string; text: string };
  /** File name or title. */
  name?: string;
}

/** What the model thought. `signature` and `redacted` are opaque state of the vendor that made them. */
export interface ReasoningBlock extends Common {
  type: 'reasoning';
  /** Readable reasoning, or a summary of it; may be empty. */
  text: string;
  signature?: string;
  /** Encrypted reasoning. */
  redacted?: string;
  /** Id of the item it is, where its vendor names it. */
  id?: string;
  /** Whose signature, encryption and id it is; absent where there is none. */
  vendor?: DialectName;
}

export interface ToolCallBlock extends Common {
  type: 'tool-call';
  id: string;
  name: string;
  /** The arguments as JSON text, exactly as sent; `{}` when there are none. May be cut short by a token limit. */
  input: string;
  /** A free-form tool (OpenAI `custom`): `input` is plain text. */
  custom?: boolean;
  state?: VendorState;
}

export interface ToolResultBlock extends Common {
  type: 'tool-result';
  /** Id of the tool call it answers. */
  callId: string;
  /** Name of the tool, where the dialect says it. */
  name?: string;
  /** Text and media (and opaque). */
  blocks: Block[];
  isError?: boolean;
}

export interface RefusalBlock extends Common {
  type: 'refusal';
  text: string;
}

/** A block no other dialect understands, carried whole: meaning, not a hint. */
export interface OpaqueBlock {
  type: 'opaque';
  dialect: DialectName;
  value: JsonObject;
}

export interface Citation {
  url?: string;
  title?: string;
  /** The words cited from the source. */
  text?: string;
  /** Where in the block's text it applies, in UTF-16 units. */
  start?: number;
  end?: number;
  /** The citation as its dialect writes it. */
  value: JsonObject;
  dialect: DialectName;
}

export interface Tool {
  name: string;
  description?: string;
  /** JSON Schema of the arguments; absent means an object without properties. */
  schema?: Json;
  strict?: boolean | null;
  /** A tool that only its dialect knows (web search, a grammar tool…), carried whole: meaning, not a hint. */
  opaque?: JsonObject;
  extra?: JsonObject;
}

export type ToolChoice =
  | { type: 'auto' | 'none' | 'required' }
  | { type: 'tool'; name: string }
  /** Only these tools, called as `mode` says. */
  | { type: 'allowed'; mode: 'auto' | 'required'; names: string[] }
  | { type: 'opaque'; value: Json };

export interface ChatResponse {
  /** The dialect this was read from. */
  dialect: DialectName;
  id: string;
  model: string;
  /** Seconds since 1970, where the dialect says it. */
  created?: number;
  choices: Choice[];
  usage?: Usage;
  extra?: JsonObject;
}

export interface Choice {
  index: number;
  blocks: Block[];
  stop: StopReason;
  /** The stop sequence that was hit, where the dialect says which. */
  stopSequence?: string;
  logprobs?: Json;
  extra?: JsonObject;
}

/**
 * `stop` came to its end · `stop_sequence` hit one · `length` token limit · `context_length` the model's window is full ·
 * `tool_calls` wants tools run · `content_filter` blocked · `refusal` the model declined · `pause` wants to be resumed.
 */
export type StopReason =
  | 'stop'
  | 'stop_sequence'
  | 'length'
  | 'context_length'
  | 'tool_calls'
  | 'content_filter'
  | 'refusal'
  | 'pause';

/**
 * Events of a streamed answer. Order: `start`, then blocks (each opened, filled, closed; blocks of one choice may be
 * open at once, told apart by `block`), a `finish` per choice, `usage`, and `end`. `block` counts up from 0 per choice.
 * A stream without `end` was cut.
 */
export type ChatEvent =
  | { type: 'start'; id: string; model: string; created?: number; usage?: Usage; extra?: JsonObject }
  /** Opens a block with what is known at once: a text block with `text: ''`, a tool call with id, name and `input: ''`. */
  | { type: 'block'; choice: number; block: number; value: Block }
  /** More of a block: `text` for text, reasoning and refusal; `input` for a tool call (a piece of JSON text). */
  | {
      type: 'delta';
      choice: number;
      block: number;
      text?: string;
      input?: string;
      signature?: string;
      /** Encrypted reasoning, whole; may come after its readable text. */
      redacted?: string;
      state?: VendorState;
      citation?: Citation;
      logprobs?: Json;
    }
  /** `extra`: members of the block that are known only at its end; they replace those it was opened with. */
  | { type: 'close'; choice: number; block: number; extra?: JsonObject }
  | { type: 'finish'; choice: number; stop: StopReason; stopSequence?: string; extra?: JsonObject }
  | { type: 'usage'; usage: Usage }
  | { type: 'end' }
  /** The provider said it failed, after it had begun. Nothing follows. */
  | { type: 'error'; error: import('./error.ts').GatewayError };

/** The empty JSON object a tool without parameters takes. */
export const emptySchema: JsonObject = { type: 'object', properties: {} };
