/** What the mock understands of a request, the same for all wire languages. */
import type { Json, JsonObject } from '../core/json.ts';
import type { ErrorKind } from './errors.ts';

export interface Ask {
  model: string;
  stream: boolean;
  /** What the last user message says, or the results of tools, with other parts named in brackets. */
  text: string;
  /** UTF-16 units of all text in instructions and messages. */
  textLength: number;
  /** What the last message says, where it is the beginning of the answer. */
  begun: string;
  /** The last message brings results of tools. */
  afterTool: boolean;
  tools: { name: string; schema: Json }[];
  choice: 'auto' | 'none' | 'required' | { name: string };
  parallel: boolean;
  /** Structured output: a JSON Schema, `true` for any JSON. */
  format?: Json;
  maxTokens?: number;
  stop: string[];
  /** How many answers. */
  n: number;
  streamUsage: boolean;
  /** Reasoning may be read, where a wire keeps it back unless asked. */
  showsReasoning: boolean;
  /** The answer is to be kept, so that another request can go on from it. */
  keeps: boolean;
  /** The request itself, for answers that repeat it. */
  body: JsonObject;
}

/** A request that says nothing yet. */
export function newAsk(body: JsonObject, model: string, stream: boolean): Ask {
  return {
    model,
    stream,
    text: '',
    textLength: 0,
    begun: '',
    afterTool: false,
    tools: [],
    choice: 'auto',
    parallel: true,
    stop: [],
    n: 1,
    streamUsage: true,
    showsReasoning: true,
    keeps: false,
    body,
  };
}

/** Takes in what one message says. Results of tools that follow each other are one text. */
export function hear(ask: Ask, who: 'system' | 'user' | 'assistant' | 'tool', text: string): void {
  ask.textLength += text.length;
  if (who === 'user') ask.text = text;
  if (who === 'tool') ask.text = ask.afterTool ? `${ask.text}\n${text}` : text;
  ask.afterTool = who === 'tool';
  ask.begun = who === 'assistant' ? text : '';
}

/** A refusal in neutral words; each voice writes it in its own shape. */
export interface Refusal {
  status: number;
  kind: ErrorKind;
  message: string;
  param?: string;
  code?: string;
  retryAfterS?: number;
}

/** Thrown while a request is read: it is refused as the real provider would. */
export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

export function refuse(message: string, param?: string, code?: string): never {
  throw new Refused({ status: 400, kind: 'bad_request', message, param, code });
}

/** Names a part that is not text: `[image image/png 68 bytes]`. */
export function namePart(media: string, mimeType: string, base64: string): string {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return `[${media} ${mimeType} ${Math.floor((base64.length * 3) / 4) - padding} bytes]`;
}

/** The same for a `data:` URL, or `[image https://…]` for another. */
export function nameUrl(media: string, url: string): string {
  const comma = url.indexOf(',');
  if (!url.startsWith('data:') || comma < 0) return `[${media} ${url}]`;
  return namePart(media, url.slice(5, comma).replace(/;base64$/, ''), url.slice(comma + 1));
}

/** What a tool said that failed, where the wire can tell. */
export function nameError(text: string): string {
  return `[error] ${text}`;
}

/** Texts of a member that may be one or several. */
export function textsOf(value: Json | undefined): string[] {
  return [value].flat().filter((text) => typeof text === 'string');
}
