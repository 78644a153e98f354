/** The registry: every wire language the gateway speaks, by name. A name without an entry is not spoken yet. */
import type { DialectName } from '../core/chat.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { type ClientDialect, type Dialect, isClientDialect } from './dialect.ts';
import { openaiChat } from './openai-chat.ts';

const all: readonly Dialect[] = [openaiChat, anthropicMessages];

export const dialects: ReadonlyMap<DialectName, Dialect> = new Map(
  all.map((dialect) => [dialect.name, dialect]),
);

/** Those that clients may speak. The first one answers where nothing tells what the client speaks. */
export const clientDialects: readonly ClientDialect[] = all.filter(isClientDialect);
