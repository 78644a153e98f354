/** Messages of any dialect as contents Gemini accepts: every call answered at once, in order, in one content. */
import type { Block, ChatRequest, Message, ToolResultBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import { arrangeTurns, type Placed, type Turn } from '../turns.ts';
import { dialectName } from './read-part.ts';
import { type Manner, mediaBeside, writePart, writeResult } from './write-part.ts';

/**
 * Stands in for the signature of a call that another model made, or that lost its own on the way: models that sign
 * their calls refuse those without. https://ai.google.dev/gemini-api/docs/thought-signatures#faqs
 */
const noSignature = 'skip_thought_signature_validator';

/**
 * All messages from `first` on (the ones before are the system instruction).
 *
 * Requests of this dialect keep their contents as they are, but for other vendors' state. Others are arranged: see
 * arrangeTurns; the results of a turn's calls stand in one content, what else the user says in another after it.
 * @throws GatewayError `bad_request` for arguments that are no JSON object, `unsupported` for files of others.
 */
export function writeContents(request: ChatRequest, first: number, manner: Manner): JsonObject[] {
  const { messages } = request;
  const contents = manner.own
    ? writeVerbatim(messages, first, manner)
    : writeTurns(
        arrangeTurns(messages, { first, foldsSystem: true, keeps: (placed) => keeps(placed, manner) }),
        manner,
      );
  if (manner.quirks.thinking === 'level') contents.forEach(signCall);
  return contents;
}

/** The parts of the system instruction. @throws GatewayError `unsupported` for anything but text. */
export function writeInstruction(messages: readonly Message[], manner: Manner): JsonObject[] {
  return messages.flatMap(({ blocks }, i) =>
    blocks.flatMap((block, j) => {
      const path = `messages[${i}].content[${j}]`;
      if (!manner.own && !keeps({ block, path }, manner)) return [];
      if (manner.own || block.type === 'text') return writeOne(block, path, manner);
      throw new GatewayError(
        'unsupported',
        `${path}: instructions must be text; put images and documents into a user message.`,
        { param: path },
      );
    }),
  );
}

function writeVerbatim(messages: readonly Message[], first: number, manner: Manner): JsonObject[] {
  return messages.slice(first).flatMap(({ role, blocks, extra }, i): JsonObject[] => {
    const path = `messages[${first + i}].content`;
    const parts = blocks.flatMap((block, j) => writeOne(block, `${path}[${j}]`, manner));
    if (parts.length === 0 && blocks.length > 0) return [];
    return [{ role: role === 'assistant' ? 'model' : 'user', parts, ...extra }];
  });
}

/** Whether the first call of a content of the model has no signature. */
export function lacksSignature({ role, parts }: JsonObject): boolean {
  const call =
    role === 'model' && Array.isArray(parts) ? (parts as JsonObject[]).find(isCallPart) : undefined;
  return call !== undefined && call.thoughtSignature === undefined;
}

function isCallPart(part: JsonObject): boolean {
  return part?.functionCall !== undefined;
}

/** Of parallel calls only the first is signed. */
function signCall(content: JsonObject): void {
  if (!lacksSignature(content)) return;
  const call = (content.parts as JsonObject[]).find(isCallPart);
  if (call !== undefined) call.thoughtSignature = noSignature;
}

// Of other dialects

/** Vertex AI refuses text that is empty; thoughts go to nobody but whose they are. */
function keeps({ block, path }: Placed, { lost }: Manner): boolean {
  if (block.type === 'text') return block.text !== '' || block.state?.vendor === dialectName;
  if (block.type === 'refusal') return block.text !== '';
  if (block.type !== 'reasoning') return true;
  if (block.vendor === dialectName && block.signature !== undefined) return true;
  lost.push(path);
  return false;
}

function writeTurns(turns: readonly Turn[], manner: Manner): JsonObject[] {
  const contents: JsonObject[] = [];
  const names = new Map<string, string>();
  for (const { role, content } of turns) {
    for (const { block } of content) if (block.type === 'tool-call') names.set(block.id, block.name);
    const results: JsonObject[] = [];
    const others: JsonObject[] = [];
    for (const { block, path } of content) {
      if (block.type === 'tool-result') {
        const name = names.get(block.callId) ?? block.name ?? '';
        results.push(writeResult(block, name, path, manner));
        others.push(...show(block, name, path, manner));
      } else others.push(...writeOne(block, path, manner));
    }
    for (const parts of [results, others]) {
      if (parts.length > 0) contents.push({ role: role === 'assistant' ? 'model' : 'user', parts });
    }
  }
  return contents;
}

function writeOne(block: Block, path: string, manner: Manner): JsonObject[] {
  const part = writePart(block, path, manner);
  return part === undefined ? [] : [part];
}

/** Media that a result cannot hold; whose they are is told before them. */
function show(result: ToolResultBlock, name: string, path: string, manner: Manner): JsonObject[] {
  const media = mediaBeside(result, manner);
  if (media.length === 0) return [];
  return [{ text: `Result of ${name}:` }, ...media.flatMap((block) => writeOne(block, path, manner))];
}
