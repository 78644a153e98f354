/**
 * What a target cannot say. One generic walk over the request, so that no dialect can forget to report:
 * a lost hint is named in `x-sluice-lost`; lost meaning makes the target unsuitable.
 */
import type { Block, ChatRequest, DialectName, OutputFormat } from './chat.ts';
import { GatewayError } from './error.ts';
import type { Json } from './json.ts';

/** What a dialect can express beyond plain text. Absent names are lost: see `meaningful` for how badly. */
export interface Expressible {
  /** Optional members of the hub request it has a word for. */
  params: ReadonlySet<keyof ChatRequest>;
  /** Content it takes in user turns, as `media:source` (`image:url`, `document:base64`…). */
  media: ReadonlySet<string>;
  /** Content it takes inside tool results, likewise; the writer may move it elsewhere, then it is listed here too. */
  toolResultMedia: ReadonlySet<string>;
  /** Of its own top-level `extra` members, some by their value: those that change what the answer is, not only how it is made. */
  meaning: { has(name: string, value: Json | undefined): boolean };
  /** What a client can do instead of saying what nobody else understands, as sentences by member of `meaning`. */
  instead?: Readonly<Record<string, string>>;
  /**
   * Members of other dialects' requests, messages, blocks and tools (`cache_control`) that it has a word for; its
   * writer names them where it leaves them out.
   */
  extras?: ReadonlySet<string>;
  /** Forms of an answer that a model can be held to; absent: all there are, where `params` has `format`. */
  formats?: ReadonlySet<OutputFormat['type']>;
  /** Instructions at the beginning stand in a member of their own, not among the messages. */
  systemApart?: boolean;
  /** Names a tool may have, and ids a tool call may have; absent: any. Others are rewritten on the way. */
  toolNames?: RegExp;
  toolIds?: RegExp;
}

/** Hub members whose loss changes the answer; all others are hints. */
const meaningful: ReadonlySet<keyof ChatRequest> = new Set([
  'tools',
  'toolChoice',
  'format',
  'n',
  'logprobs',
  'stop',
  'previousResponseId',
]);

const optional: (keyof ChatRequest)[] = [
  'tools', 'toolChoice', 'parallelTools', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'seed',
  'presencePenalty', 'frequencyPenalty', 'logitBias', 'n', 'logprobs', 'reasoning', 'format', 'user', 'metadata',
  'serviceTier', 'store', 'previousResponseId',
]; // biome-ignore format: one list

/** An id that is not of the gateway's own making. */
const elsewhere =
  'No answer of that id is kept here: it was kept by the provider that gave it, or was deleted. ' +
  'Send the conversation itself, or route the call to that provider.';

export interface Losses {
  /** Paths of what goes unsaid but does not change the meaning. */
  hints: string[];
  /** Paths of what cannot go unsaid. */
  meaning: string[];
  /** What the client can do instead, where its dialect says so. */
  instead?: string;
}

/**
 * What is lost when `request` is written in `target`, whose means are `can`; `source` are those of the dialect it was
 * read from.
 */
export function foreign(
  request: ChatRequest,
  target: DialectName,
  can: Expressible,
  source: Expressible,
): Losses {
  const losses: Losses = { hints: [], meaning: [] };
  if (request.dialect === target) return losses;

  for (const name of optional) {
    const value = request[name];
    if (value === undefined || can.params.has(name)) continue;
    if (name === 'n' && value === 1) continue;
    // What is not to be kept, nobody keeps.
    if (name === 'store' && value === false) continue;
    (meaningful.has(name) ? losses.meaning : losses.hints).push(name);
    if (name === 'previousResponseId') losses.instead = elsewhere;
  }
  for (const name in request.extra) {
    if (can.extras?.has(name)) continue;
    const means = source.meaning.has(name, request.extra[name]);
    (means ? losses.meaning : losses.hints).push(name);
    if (means) losses.instead ??= source.instead?.[name];
  }
  if (request.toolChoice?.type === 'opaque') losses.meaning.push('tool_choice');
  request.tools?.forEach((tool, i) => {
    if (tool.opaque !== undefined) losses.meaning.push(`tools[${i}]`);
    else if (tool.extra !== undefined) addExtra(losses, `tools[${i}]`, tool.extra, can);
  });
  request.messages.forEach((message, i) => {
    if (message.extra !== undefined) addExtra(losses, `messages[${i}]`, message.extra, can);
    const place: Place = { message: i, outer: -1 };
    addBlocks(losses, place, message.blocks, target, can.media, can);
  });
  losses.hints = namePaths(losses.hints, request, source);
  losses.meaning = namePaths(losses.meaning, request, source);
  return losses;
}

/** Where blocks stand; it becomes a path only where something is lost. */
interface Place {
  message: number;
  /** The tool result they are in; -1: none. */
  outer: number;
}

function pathOf({ message, outer }: Place, block: number): string {
  const inner = outer < 0 ? '' : `.content[${outer}]`;
  return `messages[${message}]${inner}.content[${block}]`;
}

function addBlocks(
  losses: Losses,
  place: Place,
  blocks: Block[],
  target: DialectName,
  media: ReadonlySet<string>,
  can: Expressible,
): void {
  for (let i = 0; i < blocks.length; i++) {
    const block = blocks[i]!;
    if (block.type === 'opaque') {
      if (block.dialect !== target) losses.meaning.push(pathOf(place, i));
      continue;
    }
    if (block.extra !== undefined) addExtra(losses, pathOf(place, i), block.extra, can);
    if (block.type === 'media' && !media.has(`${block.media}:${block.source.type}`)) {
      losses.meaning.push(pathOf(place, i));
    }
    // Reasoning of another vendor is set aside, not sent: its signature means nothing elsewhere.
    if (block.type === 'reasoning' && block.vendor !== undefined && block.vendor !== target) {
      losses.hints.push(`${pathOf(place, i)}.signature`);
    }
    if ((block.type === 'text' || block.type === 'tool-call') && block.state !== undefined) {
      if (block.state.vendor !== target) losses.hints.push(`${pathOf(place, i)}.signature`);
    }
    if (block.type === 'tool-result') {
      addBlocks(losses, { message: place.message, outer: i }, block.blocks, target, can.toolResultMedia, can);
    }
  }
}

function addExtra(losses: Losses, path: string, extra: object, { extras }: Expressible): void {
  for (const name in extra) if (!extras?.has(name)) losses.hints.push(`${path}.${name}`);
}

/**
 * Paths in the client's words: `topK` becomes `top_k`, and messages are counted as the client counted them.
 * Each is named once.
 */
export function namePaths(paths: readonly string[], request: ChatRequest, source: Expressible): string[] {
  if (paths.length === 0) return [];
  let apart = 0;
  if (source.systemApart) while (request.messages[apart]?.role === 'system') apart++;
  const named = paths.map((path) =>
    path
      .replace(/^messages\[(\d+)\]/, (_, i) =>
        Number(i) < apart ? 'system' : `messages[${Number(i) - apart}]`,
      )
      .replace(/[a-z][A-Z]/g, (pair) => `${pair[0]}_${pair[1]!.toLowerCase()}`),
  );
  return [...new Set(named)];
}

/** @throws GatewayError `unsupported` when meaning would be lost. Returns the hints. */
export function requireMeaning({ hints, meaning, instead }: Losses, target: DialectName): string[] {
  const first = meaning[0];
  if (first !== undefined) {
    throw new GatewayError(
      'unsupported',
      `The model behind this route speaks ${target}, which has no way to say: ${meaning.join(', ')}. ` +
        (instead ?? 'Remove it, or route the call to a model that supports it.'),
      { param: first },
    );
  }
  return hints;
}
