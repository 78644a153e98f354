/** Frames of a Responses stream: named events with a number that grows by one. */
import type { JsonObject } from '../../core/json.ts';

/** An event of which only a text is new each time: what stands before its number, between that and the text, after. */
export interface Stem {
  head: string;
  middle: string;
  tail: string;
}

export function makeStem(type: string, members: JsonObject, textName: string, after: JsonObject = {}): Stem {
  const rest = Object.keys(after).length === 0 ? '' : `,${JSON.stringify(after).slice(1, -1)}`;
  return {
    head: `event: ${type}\ndata: {"type":"${type}","sequence_number":`,
    middle: `,${JSON.stringify(members).slice(1, -1)},"${textName}":`,
    tail: `${rest}}\n\n`,
  };
}

export class EventWriter {
  private sequence = 0;

  /** @param emit undefined: nobody listens, only the items in their final form are wanted. */
  constructor(private readonly emit: ((text: string) => void) | undefined) {}

  /** Counts on from the last of these frames. */
  follow(passed: string): void {
    const last = passed.lastIndexOf('"sequence_number"');
    const number = /^"sequence_number"\s*:\s*(\d+)/.exec(passed.slice(last))?.[1];
    if (number !== undefined) this.sequence = Number(number) + 1;
  }

  write(type: string, members: JsonObject): void {
    if (this.emit === undefined) return;
    const data = JSON.stringify({ type, sequence_number: this.sequence++, ...members });
    this.emit(`event: ${type}\ndata: ${data}\n\n`);
  }

  writePiece({ head, middle, tail }: Stem, text: string): void {
    this.emit?.(`${head}${this.sequence++}${middle}${JSON.stringify(text)}${tail}`);
  }
}
