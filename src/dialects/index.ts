/** The registry: every wire language the gateway speaks, by name. A name without an entry is not spoken yet. */
import type { DialectName } from '../core/chat.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { bedrockConverse } from './bedrock-converse.ts';
import { cohereV2 } from './cohere-v2.ts';
import { type ClientDialect, type Dialect, isClientDialect } from './dialect.ts';
import { gemini } from './gemini.ts';
import { ollama } from './ollama.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiCompletions } from './openai-completions.ts';
import { openaiResponses } from './openai-responses.ts';

const all: readonly Dialect[] = [
  openaiChat,
  anthropicMessages,
  openaiCompletions,
  bedrockConverse,
  cohereV2,
  ollama,
  gemini,
  openaiResponses,
];

export const dialects: ReadonlyMap<DialectName, Dialect> = new Map(
  all.map((dialect) => [dialect.name, dialect]),
);

/** Those that clients may speak. The first one answers where nothing tells what the client speaks. */
export const clientDialects: readonly ClientDialect[] = all.filter(isClientDialect);
