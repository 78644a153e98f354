/** What the mock understands of a request, the same for both wire languages. */
import type { Json } from '../core/json.ts';

export type Wire = 'openai' | 'anthropic';

export interface Ask {
  model: string;
  stream: boolean;
  /** What the last user message says, with other parts named in brackets. */
  text: string;
  /** UTF-16 units of all text in instructions and messages. */
  textLength: number;
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
}

/** A refusal in neutral words; each wire writes it in its own shape. */
export interface Refusal {
  status: number;
  /** A kind of errors.ts. */
  kind: string;
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

/** Names a part that is not text: `[image image/png 68 bytes]`, `[image https://…]`. */
export function namePart(media: string, mimeType: string, base64: string): string {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return `[${media} ${mimeType} ${Math.floor((base64.length * 3) / 4) - padding} bytes]`;
}
