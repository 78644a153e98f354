/** Reads a streamed answer of Anthropic Messages, event by event. https://platform.claude.com/docs/en/build-with-claude/streaming */
import type { Block, ChatEvent, StopReason, ToolCallBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { StreamReader } from '../dialect.ts';
import { readException } from '../exception.ts';
import { isJsonTool } from '../offered-tools.ts';
import type { Quirks } from '../quirks.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { dialectName, readCitation, readText, readToolUse } from './block.ts';
import { readAnswerExtra, readRefusal } from './response.ts';
import { readStop } from './stop.ts';
import { addPasses, dropNulls, readUsage, readUsageExtra } from './usage.ts';

/** A block between its start and its stop. */
interface Open {
  /** Its number in the hub; an opaque block gets one when it is whole. */
  block: number;
  kind: 'text' | 'thinking' | 'tool' | 'json-tool' | 'redacted' | 'opaque';
  /** Arguments the start held already: only when no fragment follows are they more than a placeholder. */
  input: string;
  /** Fragments of arguments have come. */
  begun: boolean;
  /** An opaque block, gathered until it is whole. */
  value: JsonObject;
}

const knownPieces: ReadonlySet<Json | undefined> = new Set([
  'text_delta',
  'citations_delta',
  'thinking_delta',
  'signature_delta',
  'input_json_delta',
]);
const knownDelta = new Set(['stop_reason', 'stop_sequence']);
const knownMessageDelta = new Set(['type', 'delta', 'usage']);

export class MessagesReader implements StreamReader {
  private readonly open = new Map<Json | undefined, Open>();
  private blocks = 0;
  private started = false;
  /** `end` or `error` was emitted. */
  private over = false;
  private calls = 0;
  private stop: StopReason | undefined;
  private stopSequence: string | undefined;
  private extra: JsonObject | undefined;
  private usage: Usage | undefined;
  private usageExtra: JsonObject | undefined;

  constructor(
    private readonly emit: (event: ChatEvent) => void,
    private readonly quirks: Quirks,
  ) {}

  push(event: string, data: string): void {
    if (this.over || event === 'ping') return;
    // A host that wraps these events in its own has its own way to fail.
    const failure = readException(event, data);
    if (failure !== undefined) {
      this.end(failure);
      return;
    }
    let value: Json;
    try {
      value = JSON.parse(data);
    } catch {
      this.fail('an event is not valid JSON');
      return;
    }
    if (!isObject(value)) {
      this.fail('an event is not an object');
      return;
    }
    switch (value.type) {
      case 'content_block_delta':
        this.readDelta(value);
        return;
      case 'content_block_start':
        this.openBlock(value.index, value.content_block);
        return;
      case 'content_block_stop':
        this.closeBlock(value.index);
        return;
      case 'message_start':
        this.begin(value.message);
        return;
      case 'message_delta':
        this.readMessageDelta(value);
        return;
      case 'message_stop':
        this.end();
        return;
      case 'error':
        this.end(classifyErrorPayload(value));
        return;
      case 'ping':
        return;
      default:
        // Events yet to be invented are to be ignored; an error in another dialect's shape is not.
        if (event === 'error' || isObject(value.error)) this.end(classifyErrorPayload(value));
    }
  }

  get pending(): boolean {
    for (const { kind } of this.open.values()) if (kind === 'opaque') return true;
    return false;
  }

  /** Without a stop reason the answer was cut: then nothing is emitted. */
  end(error?: GatewayError): void {
    if (this.over) return;
    if (error !== undefined) {
      this.over = true;
      this.emit({ type: 'error', error });
      return;
    }
    if (this.stop === undefined) return;
    this.begin(undefined);
    this.over = true;
    for (const index of [...this.open.keys()]) this.closeBlock(index);
    const refusal = readRefusal(this.extra);
    if (refusal !== undefined) this.emitWhole(refusal);
    // The call that was turned into text is nothing the client has to carry out.
    const called = !this.quirks.schemaByTool || this.calls > 0;
    const stop = this.stop === 'tool_calls' && !called ? 'stop' : this.stop;
    const finish: ChatEvent = { type: 'finish', choice: 0, stop };
    if (this.stopSequence !== undefined) finish.stopSequence = this.stopSequence;
    const extra = readAnswerExtra(this.extra, this.usageExtra);
    if (extra !== undefined) finish.extra = extra;
    this.emit(finish);
    const usage = addPasses(this.usage, this.usageExtra);
    if (usage !== undefined) this.emit({ type: 'usage', usage });
    this.emit({ type: 'end' });
  }

  private fail(what: string): void {
    this.end(new GatewayError('upstream_invalid', `The provider's stream is not understood: ${what}.`));
  }

  /** Some hosts repeat the event: the first one counts. One that never came is made up for. */
  private begin(message: Json | undefined): void {
    if (this.started) return;
    this.started = true;
    const { id, model, usage } = isObject(message) ? message : ({} as JsonObject);
    this.usage = readUsage(usage);
    this.usageExtra = readUsageExtra(usage);
    const start: ChatEvent = {
      type: 'start',
      id: typeof id === 'string' ? id : '',
      model: typeof model === 'string' ? model : '',
    };
    if (this.usage !== undefined) start.usage = this.usage;
    this.emit(start);
  }

  private readMessageDelta(value: JsonObject): void {
    this.usage = readUsage(value.usage, this.usage);
    const usageExtra = readUsageExtra(value.usage);
    if (usageExtra !== undefined) this.usageExtra = { ...this.usageExtra, ...usageExtra };
    const delta = isObject(value.delta) ? value.delta : {};
    const beside = dropNulls(rest(value, knownMessageDelta));
    const inside = dropNulls(rest(delta, knownDelta));
    if (beside !== undefined || inside !== undefined) this.extra = { ...this.extra, ...beside, ...inside };
    if (typeof delta.stop_reason === 'string') this.stop = readStop(delta.stop_reason);
    if (typeof delta.stop_sequence === 'string') this.stopSequence = delta.stop_sequence;
  }

  // Blocks

  private openBlock(index: Json | undefined, value: Json | undefined): void {
    if (!isObject(value) || typeof value.type !== 'string') {
      this.fail('a block has no type');
      return;
    }
    this.begin(undefined);
    if (this.open.has(index)) this.closeBlock(index);
    const open: Open = { block: -1, kind: 'opaque', input: '', begun: false, value };
    this.open.set(index, open);
    const block = this.startOf(value, open);
    if (block === undefined) return;
    open.block = this.blocks++;
    this.emit({ type: 'block', choice: 0, block: open.block, value: block });
    // Text that comes with the start; usually it is empty.
    const text = open.kind === 'text' ? value.text : open.kind === 'thinking' ? value.thinking : '';
    if (typeof text === 'string' && text !== '') this.emitText(open, text);
    if (open.kind === 'thinking') this.emitSignature(open, value.signature);
  }

  /** The hub's opening of a block and its kind; undefined for those that are emitted when they are whole. */
  private startOf(value: JsonObject, open: Open): Block | undefined {
    switch (value.type) {
      case 'text':
        open.kind = 'text';
        return readText(value, '');
      case 'thinking':
        open.kind = 'thinking';
        return { type: 'reasoning', text: '', vendor: dialectName };
      case 'redacted_thinking':
        open.kind = 'redacted';
        return { type: 'reasoning', text: '', redacted: String(value.data ?? ''), vendor: dialectName };
      case 'tool_use':
        return this.startOfCall(value, open);
      default:
        return undefined;
    }
  }

  private startOfCall(value: JsonObject, open: Open): Block {
    const block: ToolCallBlock = {
      type: 'tool-call',
      id: String(value.id),
      name: String(value.name),
      input: '',
    };
    // The empty object at the start stands for arguments to come; it is no fragment of them.
    if (isObject(value.input) && Object.keys(value.input).length > 0)
      open.input = JSON.stringify(value.input);
    if (isJsonTool(block, this.quirks)) {
      open.kind = 'json-tool';
      return { type: 'text', text: '' };
    }
    open.kind = 'tool';
    this.calls += 1;
    return readToolUse(block, value);
  }

  private closeBlock(index: Json | undefined): void {
    const open = this.open.get(index);
    if (open === undefined) return;
    this.open.delete(index);
    if (open.kind === 'opaque') {
      // Server tools stream their input as text; whole answers hold it as an object.
      if (open.begun) open.value.input = parseOr(open.input);
      this.emitWhole({ type: 'opaque', dialect: dialectName, value: open.value });
      return;
    }
    if (!open.begun && (open.kind === 'tool' || open.kind === 'json-tool')) {
      this.emitInput(open, open.input === '' ? '{}' : open.input);
    }
    this.emit({ type: 'close', choice: 0, block: open.block });
  }

  private readDelta(value: JsonObject): void {
    const open = this.open.get(value.index);
    const { delta } = value;
    if (open === undefined || !isObject(delta)) {
      this.fail('a piece belongs to no open block');
      return;
    }
    switch (open.kind) {
      case 'text':
        if (delta.type === 'text_delta') this.emitText(open, delta.text);
        else if (delta.type === 'citations_delta') this.emitCitation(open, delta.citation);
        else this.refusePiece(delta);
        return;
      case 'thinking':
        if (delta.type === 'thinking_delta') this.emitText(open, delta.thinking);
        else if (delta.type === 'signature_delta') this.emitSignature(open, delta.signature);
        else this.refusePiece(delta);
        return;
      case 'tool':
      case 'json-tool':
        if (delta.type !== 'input_json_delta') this.refusePiece(delta);
        else if (typeof delta.partial_json === 'string' && delta.partial_json !== '') {
          open.begun = true;
          this.emitInput(open, delta.partial_json);
        }
        return;
      case 'redacted':
        this.refusePiece(delta);
        return;
      case 'opaque':
        gather(open, delta);
    }
  }

  /** A piece of the wrong kind would lose words in silence; one of a kind yet to be invented may be a hint only. */
  private refusePiece(delta: JsonObject): void {
    if (knownPieces.has(delta.type)) this.fail('a piece does not fit its block');
  }

  private emitText(open: Open, text: Json | undefined): void {
    if (typeof text !== 'string' || text === '') return;
    this.emit({ type: 'delta', choice: 0, block: open.block, text });
  }

  private emitCitation(open: Open, value: Json | undefined): void {
    const citation = readCitation(value ?? null);
    if (citation !== undefined) this.emit({ type: 'delta', choice: 0, block: open.block, citation });
  }

  private emitInput(open: Open, input: string): void {
    if (open.kind === 'json-tool') this.emitText(open, input);
    else this.emit({ type: 'delta', choice: 0, block: open.block, input });
  }

  private emitSignature(open: Open, signature: Json | undefined): void {
    if (typeof signature !== 'string' || signature === '') return;
    this.emit({ type: 'delta', choice: 0, block: open.block, signature });
  }

  private emitWhole(value: Block): void {
    const block = this.blocks++;
    this.emit({ type: 'block', choice: 0, block, value });
    this.emit({ type: 'close', choice: 0, block });
  }
}

function parseOr(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Adds a piece to an opaque block: input grows as text, other texts grow, other members are set. */
function gather(open: Open, delta: JsonObject): void {
  if (delta.type === 'input_json_delta') {
    if (typeof delta.partial_json !== 'string' || delta.partial_json === '') return;
    open.input += delta.partial_json;
    open.begun = true;
    return;
  }
  for (const name in delta) {
    if (name === 'type') continue;
    const before = open.value[name];
    const piece = delta[name];
    open.value[name] = typeof before === 'string' && typeof piece === 'string' ? before + piece : piece;
  }
}
