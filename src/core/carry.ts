/**
 * State of one vendor's model inside an opaque text of another dialect (a signature, encrypted data), so that clients
 * hand it back without knowing: the conversation may leave that vendor and return to it.
 */
import type { Block, DialectName, ReasoningBlock, ToolCallBlock, VendorState } from './chat.ts';
import { isObject, type Json } from './json.ts';

/** What is carried: a reasoning block's state, or that of the tool call with the id `call` (of the text before it, without). */
export type Carried =
  | ({ type: 'reasoning' } & Pick<ReasoningBlock, 'signature' | 'redacted' | 'id'> & { vendor: DialectName })
  | ({ type: 'state'; call?: string } & VendorState);

/** Its length is a multiple of three, so that every carried text begins with the same Base64 characters. */
const prefix = 'sluice:1:';
export const carriedMark = Buffer.from(prefix).toString('base64');
const maxChars = 4 * 1024 * 1024;

/** Base64, because that is what vendors' own signatures are, and some clients check it. */
export function carry(carried: Carried): string {
  return Buffer.from(prefix + JSON.stringify(carried)).toString('base64');
}

/** @returns undefined when the text is a vendor's own, or was tampered with beyond reading. */
export function uncarry(text: string): Carried | undefined {
  if (!text.startsWith(carriedMark) || text.length > maxChars) return undefined;
  let value: Json;
  try {
    value = JSON.parse(Buffer.from(text, 'base64').toString().slice(prefix.length));
  } catch {
    return undefined;
  }
  return isCarried(value) ? value : undefined;
}

/** Clients can write anything: only texts where texts belong. Whose words they are is seen when they are used. */
function isCarried(value: Json): value is Json & Carried {
  if (!isObject(value) || typeof value.vendor !== 'string') return false;
  const texts =
    value.type === 'state'
      ? [value.value, value.call ?? '']
      : [value.signature ?? '', value.redacted ?? '', value.id ?? ''];
  return (
    (value.type === 'state' || value.type === 'reasoning') && texts.every((each) => typeof each === 'string')
  );
}

/** The state of a reasoning block of another vendor; undefined when it has none worth carrying. */
export function carryReasoning({ vendor, signature, redacted, id }: ReasoningBlock): string | undefined {
  if (vendor === undefined || (signature === undefined && redacted === undefined)) return undefined;
  return carry({
    type: 'reasoning',
    vendor,
    ...(signature === undefined ? {} : { signature }),
    ...(redacted === undefined ? {} : { redacted }),
    ...(id === undefined ? {} : { id }),
  });
}

/** State that stands apart from its block, behind so many others. */
export type CarriedState = Extract<Carried, { type: 'state' }> & { after: number };

/** Gives states back to the tool calls they name, or to the text they stand right after. */
export function restoreStates(blocks: readonly Block[], states: readonly CarriedState[]): void {
  if (states.length === 0) return;
  const calls = new Map<string, ToolCallBlock>();
  for (const block of blocks) {
    if (block.type === 'tool-call' && !calls.has(block.id)) calls.set(block.id, block);
  }
  for (const { vendor, value, call, after } of states) {
    const block = call === undefined ? blocks[after - 1] : calls.get(call);
    if (block?.type === (call === undefined ? 'text' : 'tool-call')) block.state = { vendor, value };
  }
}
