/** Names of tools and ids of their calls, made to fit what a dialect accepts; the same word always becomes the same. */
import { createHash } from 'node:crypto';
import type { Block, ChatRequest, ChatResponse, Message, Tool, ToolChoice } from './chat.ts';

/** What words may look like; undefined: anything. */
export interface WordForms {
  names: RegExp | undefined;
  ids: RegExp | undefined;
}

export interface FittedRequest {
  request: ChatRequest;
  /** The client's own name of each tool that goes by another one; undefined when none does. */
  names: ReadonlyMap<string, string> | undefined;
}

/** A request whose tools, choices, calls and results go by words of these forms; itself where they do already. */
export function fitToolWords(request: ChatRequest, forms: WordForms): FittedRequest {
  const names = forms.names === undefined ? undefined : fitAll(namesIn(request), forms.names);
  const ids = forms.ids === undefined ? undefined : fitAll(idsIn(request), forms.ids);
  if (names === undefined && ids === undefined) return { request, names: undefined };
  const words: Words = {
    name: (word) => names?.get(word) ?? word,
    id: (word) => ids?.get(word) ?? word,
  };
  const fitted: ChatRequest = {
    ...request,
    messages: request.messages.map((message) => renameInMessage(message, words)),
  };
  if (request.tools !== undefined) fitted.tools = request.tools.map((tool) => renameTool(tool, words));
  if (request.toolChoice !== undefined) fitted.toolChoice = renameChoice(request.toolChoice, words);
  return { request: fitted, names: names && new Map([...names].map(([own, sent]) => [sent, own])) };
}

// Which words there are

function namesIn({ tools, toolChoice, messages }: ChatRequest): Set<string> {
  const names = new Set<string>();
  for (const tool of tools ?? []) if (tool.opaque === undefined) names.add(tool.name);
  if (toolChoice?.type === 'tool') names.add(toolChoice.name);
  else if (toolChoice?.type === 'allowed') for (const name of toolChoice.names) names.add(name);
  for (const { blocks } of messages) {
    for (const block of blocks) {
      if (block.type === 'tool-call') names.add(block.name);
      else if (block.type === 'tool-result' && block.name !== undefined) names.add(block.name);
    }
  }
  return names;
}

function idsIn({ messages }: ChatRequest): Set<string> {
  const ids = new Set<string>();
  for (const { blocks } of messages) {
    for (const block of blocks) {
      if (block.type === 'tool-call') ids.add(block.id);
      else if (block.type === 'tool-result') ids.add(block.callId);
    }
  }
  return ids;
}

// Their other form

/** The words that do not fit, and what each becomes: nothing that another word is or becomes. Undefined when all fit. */
function fitAll(words: ReadonlySet<string>, form: RegExp): Map<string, string> | undefined {
  let fitted: Map<string, string> | undefined;
  let taken: Set<string> | undefined;
  for (const word of words) {
    if (form.test(word)) continue;
    taken ??= new Set(words);
    let fit = fitWord(word, form);
    for (let n = 1; taken.has(fit) && n < maxTries; n++) fit = fitWord(`${word}\n${n}`, form);
    taken.add(fit);
    fitted ??= new Map();
    fitted.set(word, fit);
  }
  return fitted;
}

/** Two words that become one are as good as impossible; so many in a row are a form with room for a handful. */
const maxTries = 100;

/**
 * A word of the form: the word itself, or what of it fits with a digest of all of it, so that words that differ stay
 * different without any memory.
 */
export function fitWord(word: string, form: RegExp): string {
  if (form.test(word)) return word;
  const length = longest(form);
  const digest = createHash('sha256').update(word).digest('hex');
  const clean = word.replace(/[^a-zA-Z0-9_-]/g, '_');
  const tail = `_${digest.slice(0, 8)}`;
  const candidates = [
    clean.slice(0, Math.max(0, length - tail.length)) + tail,
    // Some want a letter first.
    `t_${clean.slice(0, Math.max(0, length - tail.length - 2))}${tail}`,
    digest.slice(0, length),
    `t${digest.slice(0, length - 1)}`,
  ];
  return candidates.find((candidate) => form.test(candidate)) ?? word;
}

/** Names longer than this say nothing more to a model. */
const maxLength = 128;
const lengths = new WeakMap<RegExp, number>();

/** How long a word of the form may be. */
function longest(form: RegExp): number {
  let length = lengths.get(form);
  if (length === undefined) {
    length = maxLength;
    while (length > 1 && !form.test('a'.repeat(length))) length--;
    lengths.set(form, length);
  }
  return length;
}

// Where they stand

interface Words {
  name(word: string): string;
  id(word: string): string;
}

function renameTool(tool: Tool, { name }: Words): Tool {
  return tool.opaque === undefined ? { ...tool, name: name(tool.name) } : tool;
}

function renameChoice(choice: ToolChoice, { name }: Words): ToolChoice {
  if (choice.type === 'tool') return { type: 'tool', name: name(choice.name) };
  return choice.type === 'allowed' ? { ...choice, names: choice.names.map(name) } : choice;
}

function renameInMessage(message: Message, words: Words): Message {
  if (!message.blocks.some(isToolBlock)) return message;
  return { ...message, blocks: message.blocks.map((block) => renameInBlock(block, words)) };
}

function isToolBlock({ type }: Block): boolean {
  return type === 'tool-call' || type === 'tool-result';
}

function renameInBlock(block: Block, { name, id }: Words): Block {
  if (block.type === 'tool-call') return { ...block, id: id(block.id), name: name(block.name) };
  if (block.type !== 'tool-result') return block;
  const result = { ...block, callId: id(block.callId) };
  if (block.name !== undefined) result.name = name(block.name);
  return result;
}

// Answers

/** All blocks of a whole answer, as restoreBlock does it. */
export function restoreWords(
  { choices }: ChatResponse,
  names: ReadonlyMap<string, string> | undefined,
  ids: RegExp | undefined,
): void {
  for (const { blocks } of choices) {
    for (let i = 0; i < blocks.length; i++) blocks[i] = restoreBlock(blocks[i]!, names, ids);
  }
}

/**
 * A block of an answer in the client's words: tools by the names it gave them, calls by ids that its dialect takes back.
 * @param names as fitToolWords told them. @param ids what the client's dialect accepts.
 */
export function restoreBlock(
  block: Block,
  names: ReadonlyMap<string, string> | undefined,
  ids: RegExp | undefined,
): Block {
  if (block.type !== 'tool-call') return block;
  const name = names?.get(block.name) ?? block.name;
  const id = ids === undefined ? block.id : fitWord(block.id, ids);
  return name === block.name && id === block.id ? block : { ...block, name, id };
}
