/** Answers in which nothing is said: another target is asked, unless that may be what was meant. */
import type { Block, ChatRequest, ChatResponse, StopReason } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import type { Tries } from './tries.ts';

const blockedStops: ReadonlySet<StopReason> = new Set(['content_filter', 'refusal']);
const plainStops: ReadonlySet<StopReason> = new Set(['stop', 'tool_calls']);

/**
 * A client whose call no other target would answer gets the silence as it came.
 * @param stops how each choice of the answer has ended; none where something is said in it.
 * @throws GatewayError `upstream_invalid`, or `upstream_content_filter` where something was kept back.
 */
export function leaveSilence(stops: readonly StopReason[], tries: Tries): void {
  const error = silenceError(stops, tries);
  if (error !== undefined && tries.goesOnAfter(error)) throw error;
}

function silenceError(stops: readonly StopReason[], { outbound, inbound }: Tries): GatewayError | undefined {
  const { id } = outbound.target;
  if (stops.some((stop) => blockedStops.has(stop))) {
    return new GatewayError('upstream_content_filter', `${id} kept its answer back.`);
  }
  const plain = stops.length > 0 && stops.every((stop) => plainStops.has(stop));
  if (!plain || maySaySo(inbound.chat())) return undefined;
  // Clients can ask for silence: others may have something to say, and the target is as healthy as before.
  return new GatewayError('upstream_invalid', `${id} answered without a word.`, { blameless: true });
}

/** After the result of a tool, or its own beginning of an answer, a model may have nothing to add; a stop sequence may come first. */
function maySaySo({ messages, stop }: ChatRequest): boolean {
  const last = messages.at(-1);
  if (stop !== undefined || last === undefined || last.role === 'assistant') return true;
  return last.blocks.some(({ type }) => type === 'tool-result');
}

/** How each choice of a whole answer has ended; none where anything is said in it. */
export function stopsOf({ choices }: ChatResponse): StopReason[] {
  return choices.every(({ blocks }) => blocks.every(isEmpty)) ? choices.map(({ stop }) => stop) : [];
}

function isEmpty(block: Block): boolean {
  return (
    (block.type === 'text' || block.type === 'reasoning' || block.type === 'refusal') && block.text === ''
  );
}

const tellingNames: ReadonlySet<string> = new Set(['content', 'text', 'name']);

/**
 * Whether the content of an answer has no words where most have some: then it is to be read in full. Quick, as it is
 * asked of every answer.
 */
export function mayBeSilent(top: JsonObject, contentMembers: readonly string[]): boolean {
  for (const member of contentMembers) if (hasWords(top[member], member)) return false;
  return true;
}

function hasWords(value: Json | undefined, name: string): boolean {
  if (typeof value === 'string') return value !== '' && tellingNames.has(name);
  if (Array.isArray(value)) {
    for (const each of value) if (hasWords(each, name)) return true;
    return false;
  }
  if (!isObject(value)) return false;
  for (const member in value) if (hasWords(value[member], member)) return true;
  return false;
}
