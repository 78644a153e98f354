/**
 * What a target cannot say. One generic walk over the request, so that no dialect can forget to report:
 * a lost hint is named in `x-sluice-lost`; lost meaning makes the target unsuitable.
 */
import type { Block, ChatRequest, DialectName } from './chat.ts';
import { GatewayError } from './error.ts';

/** What a dialect can express beyond plain text. Absent names are lost: see `meaningful` for how badly. */
export interface Expressible {
  /** Optional members of the hub request it has a word for. */
  params: ReadonlySet<keyof ChatRequest>;
  /** Content it takes in user turns, as `media:source` (`image:url`, `document:base64`…). */
  media: ReadonlySet<string>;
  /** Content it takes inside tool results, likewise; the writer may move it elsewhere, then it is listed here too. */
  toolResultMedia: ReadonlySet<string>;
  /** Of its own top-level `extra` members: those that change what the answer is, not only how it is made. */
  meaning: ReadonlySet<string>;
}

/** Hub members whose loss changes the answer; all others are hints. */
const meaningful: ReadonlySet<keyof ChatRequest> = new Set(['tools', 'toolChoice', 'format', 'n', 'logprobs', 'stop']);

const optional: (keyof ChatRequest)[] = [
  'tools', 'toolChoice', 'parallelTools', 'maxTokens', 'temperature', 'topP', 'topK', 'stop', 'seed',
  'presencePenalty', 'frequencyPenalty', 'logitBias', 'n', 'logprobs', 'reasoning', 'format', 'user', 'metadata',
  'serviceTier',
]; // biome-ignore format: one list

export interface Losses {
  /** Paths of what goes unsaid but does not change the meaning. */
  hints: string[];
  /** Paths of what cannot go unsaid. */
  meaning: string[];
}

/**
 * What is lost when `request` is written in `target`, whose means are `can`.
 * `meaningOf` gives the means of the dialect the request was read from.
 */
export function foreign(request: ChatRequest, target: DialectName, can: Expressible, source: Expressible): Losses {
  const losses: Losses = { hints: [], meaning: [] };
  if (request.dialect === target) return losses;

  for (const name of optional) {
    const value = request[name];
    if (value === undefined || can.params.has(name)) continue;
    if (name === 'n' && value === 1) continue;
    (meaningful.has(name) ? losses.meaning : losses.hints).push(name);
  }
  for (const name in request.extra) {
    (source.meaning.has(name) ? losses.meaning : losses.hints).push(name);
  }
  if (request.toolChoice?.type === 'opaque') losses.meaning.push('tool_choice');
  request.tools?.forEach((tool, i) => {
    if (tool.opaque !== undefined) losses.meaning.push(`tools[${i}]`);
    else addExtra(losses, `tools[${i}]`, tool.extra);
  });
  request.messages.forEach((message, i) => {
    addExtra(losses, `messages[${i}]`, message.extra);
    addBlocks(losses, `messages[${i}]`, message.blocks, target, can.media, can);
  });
  return losses;
}

function addBlocks(
  losses: Losses,
  path: string,
  blocks: Block[],
  target: DialectName,
  media: ReadonlySet<string>,
  can: Expressible,
): void {
  blocks.forEach((block, i) => {
    const at = `${path}.content[${i}]`;
    if (block.type === 'opaque') {
      if (block.dialect !== target) losses.meaning.push(at);
      return;
    }
    addExtra(losses, at, block.extra);
    if (block.type === 'media' && !media.has(`${block.media}:${block.source.type}`)) losses.meaning.push(at);
    // Reasoning of another vendor is set aside, not sent: its signature means nothing elsewhere.
    if (block.type === 'reasoning' && block.vendor !== undefined && block.vendor !== target) {
      losses.hints.push(`${at}.signature`);
    }
    if (block.type === 'tool-result') addBlocks(losses, at, block.blocks, target, can.toolResultMedia, can);
  });
}

function addExtra(losses: Losses, path: string, extra: object | undefined): void {
  for (const name in extra) losses.hints.push(`${path}.${name}`);
}

/** @throws GatewayError `unsupported` when meaning would be lost. Returns the hints. */
export function requireMeaning(losses: Losses, target: DialectName): string[] {
  const first = losses.meaning[0];
  if (first !== undefined) {
    throw new GatewayError(
      'unsupported',
      `The model behind this route speaks ${target}, which has no way to say: ${losses.meaning.join(', ')}. ` +
        'Remove it, or route the call to a model that supports it.',
      { param: first },
    );
  }
  return losses.hints;
}
