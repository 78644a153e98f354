/** What of an answer its client has been shown: as much as another model needs to know to go on with it. */
import type { Block, ChatEvent } from '../../core/chat.ts';
import { isObject, type Json } from '../../core/json.ts';

/** A tool call the client has heard all of. */
export interface ShownCall {
  id: string;
  name: string;
  /** JSON text. */
  input: string;
}

interface Piece {
  value: Block;
  /** Of a tool call. */
  input: string;
  closed: boolean;
}

/** An answer beyond this is not kept to be gone on with: bytes of what is relayed, characters of what is told. */
export const maxShown = 4 * 1024 * 1024;

/** What nobody but the model it came from could go on from is missing here. */
const known: ReadonlySet<Block['type']> = new Set(['text', 'reasoning', 'tool-call']);

export class Shown {
  /** All that is text, reasoning left out. */
  text = '';
  private readonly pieces: (Piece | undefined)[] = [];
  private size = 0;
  /** It has come to its finish, or holds what cannot be gone on from. */
  private barred = false;

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'block':
        this.open(event);
        break;
      case 'delta':
        this.add(event);
        break;
      case 'close': {
        const piece = this.pieces[event.block];
        if (piece !== undefined) piece.closed = true;
        break;
      }
      case 'finish':
        this.barred = true;
    }
  }

  private open({ choice, block, value }: Extract<ChatEvent, { type: 'block' }>): void {
    if (choice !== 0 || !known.has(value.type)) this.barred = true;
    this.pieces[block] = { value, input: value.type === 'tool-call' ? value.input : '', closed: false };
    if (value.type === 'text') this.text += value.text;
  }

  private add({ choice, block, text, input }: Extract<ChatEvent, { type: 'delta' }>): void {
    const piece = choice === 0 ? this.pieces[block] : undefined;
    if (piece === undefined || this.barred) return;
    this.size += (text?.length ?? 0) + (input?.length ?? 0);
    if (this.size > maxShown) this.barred = true;
    if (piece.value.type === 'text') this.text += text ?? '';
    if (piece.value.type === 'tool-call') piece.input += input ?? '';
  }

  /** Whether an answer that ends here can be gone on with: never in the middle of a tool call. */
  get resumable(): boolean {
    return !this.barred && this.pieces.every((piece) => piece === undefined || !isHalf(piece));
  }

  /** The tool calls, each of them whole where it is `resumable`. */
  get calls(): ShownCall[] {
    return this.pieces.flatMap((piece) =>
      piece?.value.type === 'tool-call'
        ? [{ id: piece.value.id, name: piece.value.name, input: piece.input }]
        : [],
    );
  }

  /** Nothing is said that another answer could contradict: there are thoughts at most. */
  get isBlank(): boolean {
    return this.text.trim() === '' && !this.pieces.some((piece) => piece?.value.type === 'tool-call');
  }

  /** The number that no block has yet. */
  get nextBlock(): number {
    return this.pieces.length;
  }

  /** Numbers of the blocks that have not been closed. */
  get openBlocks(): number[] {
    return this.pieces.flatMap((piece, number) => (piece === undefined || piece.closed ? [] : [number]));
  }

  /** Number of the block that a text flows into which goes on; undefined where it needs another. */
  get flowing(): number | undefined {
    const last = this.pieces.at(-1);
    return last?.value.type === 'text' && !last.closed ? this.pieces.length - 1 : undefined;
  }
}

/** Some dialects close calls only with the answer: there a whole object is what tells. */
function isHalf({ value, input, closed }: Piece): boolean {
  if (value.type !== 'tool-call' || closed) return false;
  return value.custom === true || !isObject(parse(input));
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The same call made again. */
export function isSameCall(one: ShownCall, other: ShownCall): boolean {
  return (
    one.name === other.name &&
    (one.input === other.input ||
      (isObject(parse(one.input)) && Bun.deepEquals(parse(one.input), parse(other.input))))
  );
}
