/** A message of an answer while it is being written: its parts, one after the other. */
import type { Citation } from '../../core/chat.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { dialectName } from './content.ts';
import { type EventWriter, makeStem, type Stem } from './events.ts';

type PartType = 'output_text' | 'refusal';

interface Part {
  type: PartType;
  index: number;
  text: string;
  annotations: JsonObject[];
  logprobs: Json[];
  /** What only this dialect knows of it. */
  extra: JsonObject;
  /** Where the text of the block that came last begins. */
  start: number;
  stem: Stem;
}

export class MessageItem {
  /** It came in this dialect: its members are as they came, and every text is a part of its own. */
  readonly own: boolean;
  private readonly id: string;
  private readonly parts: JsonObject[] = [];
  private part: Part | undefined;
  /** Blocks of it that may still grow. */
  private open = 0;
  private left: string | undefined;

  /** @param about its own members, where it came in this dialect. */
  constructor(
    private readonly events: EventWriter,
    readonly index: number,
    madeUpId: string,
    private about: JsonObject | undefined,
  ) {
    this.own = about !== undefined;
    this.id = typeof about?.id === 'string' ? about.id : madeUpId;
    const item = {
      id: this.id,
      type: 'message',
      status: 'in_progress',
      role: 'assistant',
      ...about,
      content: [],
    };
    events.write('response.output_item.added', { output_index: index, item });
  }

  /** A block joins it. @returns the place of the part it goes into. */
  enter(type: PartType): number {
    this.open += 1;
    if (this.part?.type === type && !this.own) {
      this.part.start = this.part.text.length;
      return this.part.index;
    }
    this.finishPart();
    const place = this.placeOf(this.parts.length);
    this.part = {
      type,
      index: this.parts.length,
      text: '',
      annotations: [],
      logprobs: [],
      extra: {},
      start: 0,
      stem:
        type === 'refusal'
          ? makeStem('response.refusal.delta', place, 'delta')
          : makeStem('response.output_text.delta', place, 'delta', { logprobs: [] }),
    };
    this.events.write('response.content_part.added', { ...place, part: writePart(this.part) });
    return this.part.index;
  }

  addText(text: string, logprobs: Json[]): void {
    const { part } = this;
    if (part === undefined) return;
    part.text += text;
    if (logprobs.length === 0) {
      this.events.writePiece(part.stem, text);
      return;
    }
    part.logprobs.push(...logprobs);
    this.events.write('response.output_text.delta', { ...this.placeOf(part.index), delta: text, logprobs });
  }

  addCitation(citation: Citation): void {
    const { part } = this;
    if (part?.type !== 'output_text') return;
    const annotation = writeAnnotation(citation, part.start, part.text.length);
    if (annotation === undefined) return;
    const place = { ...this.placeOf(part.index), annotation_index: part.annotations.length };
    part.annotations.push(annotation);
    this.events.write('response.output_text.annotation.added', { ...place, annotation });
  }

  /** @param part the place `enter` gave. @param extra the block's. @param items gets the item when nothing more can join it. */
  closeBlock(part: number, extra: JsonObject | undefined, items: JsonObject[]): void {
    this.open -= 1;
    if (this.own) {
      const { item, ...more } = extra ?? {};
      if (isObject(item)) this.about = item;
      if (this.part?.index === part) this.part.extra = more;
      else Object.assign(this.parts[part] ?? {}, more);
    }
    if (this.left !== undefined) this.leave(this.left, items);
  }

  /** No further block joins it; it is finished when its blocks are closed. */
  leave(status: string, items: JsonObject[]): void {
    this.left = status;
    if (this.open > 0) return;
    this.finishPart();
    const item: JsonObject = { id: this.id, type: 'message', role: 'assistant', content: this.parts };
    items[this.index] = this.own ? { ...item, ...this.about } : { ...item, status };
    this.events.write('response.output_item.done', { output_index: this.index, item: items[this.index] });
  }

  private finishPart(): void {
    const { part } = this;
    if (part === undefined) return;
    const place = this.placeOf(part.index);
    if (part.type === 'refusal') {
      this.events.write('response.refusal.done', { ...place, refusal: part.text });
    } else {
      this.events.write('response.output_text.done', { ...place, text: part.text, logprobs: part.logprobs });
    }
    const whole = writePart(part);
    this.events.write('response.content_part.done', { ...place, part: whole });
    this.parts.push(whole);
    this.part = undefined;
  }

  private placeOf(contentIndex: number): JsonObject {
    return { item_id: this.id, output_index: this.index, content_index: contentIndex };
  }
}

function writePart({ type, text, annotations, logprobs, extra }: Part): JsonObject {
  return type === 'refusal'
    ? { type, refusal: text, ...extra }
    : { type, text, annotations: [...annotations], logprobs: [...logprobs], ...extra };
}

/** A citation in its own form, or as a `url_citation` where it has a URL; `start` and `end` bound the text it belongs to. */
function writeAnnotation(citation: Citation, start: number, end: number): JsonObject | undefined {
  if (citation.dialect === dialectName) return citation.value;
  const { url, title = url } = citation;
  if (url === undefined) return undefined;
  return {
    type: 'url_citation',
    url,
    title,
    start_index: citation.start === undefined ? start : start + citation.start,
    end_index: citation.end === undefined ? end : start + citation.end,
  };
}
