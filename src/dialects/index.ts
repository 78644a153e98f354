/** The registry: every wire language the gateway speaks, by name. A name without an entry is not spoken yet. */
import type { DialectName } from '../core/chat.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import type { Dialect } from './dialect.ts';
import { openaiChat } from './openai-chat.ts';

export const dialects: ReadonlyMap<DialectName, Dialect> = new Map(
  // The first one answers where nothing tells what the client speaks.
  [openaiChat, anthropicMessages].map((dialect) => [dialect.name, dialect]),
);
