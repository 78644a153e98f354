/** Reads a streamed answer, frame by frame. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html */
import type { Block, ChatEvent, StopReason } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { StreamReader } from '../dialect.ts';
import { readException } from '../exception.ts';
import { isJsonTool } from '../offered-tools.ts';
import type { Quirks } from '../quirks.ts';
import { dialectName, isServerCall, readCitation, readToolUseExtra } from './block.ts';
import { addPiece, joinBase64, wholeOf } from './gathered.ts';
import { readStop, readStopSequence } from './stop.ts';
import { readUsage } from './usage.ts';

/** A block between its first piece and its stop. */
interface Open {
  /** Its number in the hub; one that is gathered gets it when it is whole. */
  block: number;
  kind: 'text' | 'reasoning' | 'tool' | 'json-tool' | 'gathered';
  /** Arguments have come. */
  begun: boolean;
  /** Encrypted reasoning so far, in base64. */
  redacted: string[];
  /** A block to be gathered until it is whole, as whole answers have it. */
  value: JsonObject;
}

/** `p` is padding, which hides how long the pieces are. */
const knownStop = new Set(['p', 'stopReason', 'additionalModelResponseFields']);
const knownMetadata = new Set(['p', 'usage']);

export class ConverseReader implements StreamReader {
  private readonly open = new Map<Json | undefined, Open>();
  private blocks = 0;
  private calls = 0;
  private started = false;
  /** `end` or `error` was emitted. */
  private over = false;
  private stop: StopReason | undefined;
  private stopSequence: string | undefined;
  private usage: Usage | undefined;
  private extra: JsonObject | undefined;

  constructor(
    private readonly emit: (event: ChatEvent) => void,
    private readonly quirks: Quirks,
  ) {}

  push(name: string, data: string): void {
    if (this.over) return;
    const failure = readException(name, data);
    if (failure !== undefined) {
      this.fail(failure);
      return;
    }
    let value: Json;
    try {
      value = JSON.parse(data);
    } catch {
      value = null;
    }
    if (!isObject(value)) {
      this.refuse('an event is not a JSON object');
      return;
    }
    switch (name) {
      case 'contentBlockDelta':
        this.readDelta(value.contentBlockIndex, value.delta);
        return;
      case 'contentBlockStart':
        this.readStart(value.contentBlockIndex, value.start);
        return;
      case 'contentBlockStop':
        this.close(value.contentBlockIndex);
        return;
      case 'messageStart':
        this.begin();
        return;
      case 'messageStop':
        this.readMessageStop(value);
        return;
      case 'metadata':
        this.readMetadata(value);
        return;
      // Events yet to be invented are passed over.
    }
  }

  /** Without a stop reason the answer was cut: then nothing is emitted. Its usage comes after it, and may be missing. */
  end(): void {
    if (this.over || this.stop === undefined) return;
    this.over = true;
    const finish: ChatEvent = { type: 'finish', choice: 0, stop: this.stop };
    if (this.stopSequence !== undefined) finish.stopSequence = this.stopSequence;
    if (this.extra !== undefined) finish.extra = this.extra;
    this.emit(finish);
    if (this.usage !== undefined) this.emit({ type: 'usage', usage: this.usage });
    this.emit({ type: 'end' });
  }

  private fail(error: GatewayError): void {
    this.over = true;
    this.emit({ type: 'error', error });
  }

  private refuse(what: string): void {
    this.fail(new GatewayError('upstream_invalid', `The provider's stream is not understood: ${what}.`));
  }

  private begin(): void {
    if (this.started) return;
    this.started = true;
    this.emit({ type: 'start', id: '', model: '' });
  }

  private readMessageStop(value: JsonObject): void {
    this.begin();
    for (const index of [...this.open.keys()]) this.close(index);
    try {
      this.stop = readStop(value.stopReason, this.calls > 0);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      this.fail(thrown);
      return;
    }
    this.stopSequence = readStopSequence(value.additionalModelResponseFields);
    this.keep(rest(value, knownStop));
    if (this.usage !== undefined) this.end();
  }

  private readMetadata(value: JsonObject): void {
    this.usage = readUsage(value.usage) ?? this.usage;
    this.keep(rest(value, knownMetadata));
    this.end();
  }

  private keep(extra: JsonObject | undefined): void {
    if (extra !== undefined) this.extra = { ...this.extra, ...extra };
  }

  // Blocks

  /** Only calls, results of the provider's own tools, and images have a start; the others begin with their first piece. */
  private readStart(index: Json | undefined, start: Json | undefined): void {
    if (!isObject(start) || this.stop !== undefined) return;
    this.close(index);
    const { toolUse, toolResult, image } = start;
    if (isObject(toolUse)) this.startCall(index, toolUse);
    else if (isObject(toolResult)) this.gather(index, { toolResult: { ...toolResult, content: [] } });
    else if (isObject(image)) this.gather(index, { image: { ...image } });
  }

  private startCall(index: Json | undefined, toolUse: JsonObject): void {
    if (isServerCall(toolUse)) {
      this.gather(index, { toolUse: { ...toolUse, input: '' } });
      return;
    }
    const name = String(toolUse.name ?? '');
    if (isJsonTool({ name }, this.quirks)) {
      this.openBlock(index, 'json-tool', { type: 'text', text: '' });
      return;
    }
    this.calls += 1;
    const id = String(toolUse.toolUseId ?? '');
    this.openBlock(index, 'tool', { type: 'tool-call', id, name, input: '', ...readToolUseExtra(toolUse) });
  }

  private openBlock(index: Json | undefined, kind: Open['kind'], block: Block): Open {
    this.begin();
    const open: Open = { block: this.blocks++, kind, begun: false, redacted: [], value: {} };
    this.open.set(index, open);
    this.emit({ type: 'block', choice: 0, block: open.block, value: block });
    return open;
  }

  private gather(index: Json | undefined, value: JsonObject): void {
    this.begin();
    this.open.set(index, { block: -1, kind: 'gathered', begun: false, redacted: [], value });
  }

  private readDelta(index: Json | undefined, delta: Json | undefined): void {
    if (!isObject(delta) || this.stop !== undefined) return;
    const { text, toolUse, reasoningContent, citation } = delta;
    const open = this.open.get(index);
    if (open?.kind === 'gathered') addPiece(open.value, delta);
    else if (typeof text === 'string') this.emitText(this.blockFor(index, 'text'), text);
    else if (isObject(toolUse)) this.readInput(open, toolUse.input);
    else if (isObject(reasoningContent)) this.readReasoning(index, reasoningContent);
    else if (citation !== undefined) this.readSource(index, citation);
    // Kinds of pieces yet to be invented may be hints only.
  }

  /** The open block of this kind; one of another kind has to make room. */
  private blockFor(index: Json | undefined, kind: 'text' | 'reasoning'): Open {
    const open = this.open.get(index);
    if (open?.kind === kind) return open;
    this.close(index);
    return this.openBlock(
      index,
      kind,
      kind === 'text' ? { type: kind, text: '' } : { type: kind, text: '', vendor: dialectName },
    );
  }

  private emitText({ block }: Open, text: string): void {
    if (text !== '') this.emit({ type: 'delta', choice: 0, block, text });
  }

  private readInput(open: Open | undefined, input: Json | undefined): void {
    if (open?.kind !== 'tool' && open?.kind !== 'json-tool') {
      this.refuse('arguments belong to no call');
      return;
    }
    if (typeof input === 'string' && input !== '') this.emitInput(open, input);
  }

  private emitInput(open: Open, input: string): void {
    open.begun = true;
    if (open.kind === 'json-tool') this.emitText(open, input);
    else this.emit({ type: 'delta', choice: 0, block: open.block, input });
  }

  private readReasoning(index: Json | undefined, piece: JsonObject): void {
    const { text, signature, redactedContent } = piece;
    const open = this.blockFor(index, 'reasoning');
    if (typeof text === 'string') this.emitText(open, text);
    if (typeof signature === 'string' && signature !== '') {
      this.emit({ type: 'delta', choice: 0, block: open.block, signature });
    }
    if (typeof redactedContent === 'string') open.redacted.push(redactedContent);
  }

  private readSource(index: Json | undefined, value: Json): void {
    const citation = readCitation(value);
    if (citation === undefined) return;
    this.emit({ type: 'delta', choice: 0, block: this.blockFor(index, 'text').block, citation });
  }

  private close(index: Json | undefined): void {
    const open = this.open.get(index);
    if (open === undefined) return;
    this.open.delete(index);
    if (open.kind === 'gathered') {
      this.emitWhole(wholeOf(open.value));
      return;
    }
    if (!open.begun && (open.kind === 'tool' || open.kind === 'json-tool')) this.emitInput(open, '{}');
    if (open.redacted.length > 0) {
      this.emit({ type: 'delta', choice: 0, block: open.block, redacted: joinBase64(open.redacted) });
    }
    this.emit({ type: 'close', choice: 0, block: open.block });
  }

  private emitWhole(value: Block): void {
    const block = this.blocks++;
    this.emit({ type: 'block', choice: 0, block, value });
    this.emit({ type: 'close', choice: 0, block });
  }
}
