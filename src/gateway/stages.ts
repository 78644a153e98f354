/** The two ways an answer's stream passes through: as bytes with a tap on the side, or event by event through the hub. */
import type { Block, ChatEvent, StopReason } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { restoreBlock } from '../core/tool-words.ts';
import type { Usage } from '../core/usage.ts';
import type { AnswerWish, ClientDialect, StreamReader, StreamWriter, Tap } from '../dialects/dialect.ts';
import { redactSecrets } from '../dialects/upstream-error.ts';
import { type FrameReader, frameReader } from '../wire/framing.ts';
import { SseReader } from '../wire/sse.ts';
import { StreamTap } from '../wire/tap.ts';
import { maxChars } from './estimate.ts';
import type { Outbound } from './render.ts';
import type { Standing } from './standing.ts';
import { StateCollector } from './vendor-memory.ts';

export type Part = Uint8Array | string;

/** Provider's bytes in, client's bytes out; synchronous, and always able to say how far the answer has come. */
export interface Stage {
  /** @throws when the bytes cannot be an event stream. */
  push(chunk: Uint8Array): Part | undefined;
  /** The provider's bytes ended: what was held back, and the last word if the provider left it out. */
  end(): Part | undefined;
  readonly usage: Usage | undefined;
  readonly meaningful: boolean;
  readonly complete: boolean;
  readonly terminated: boolean;
  readonly error: GatewayError | undefined;
  /** The error is already among the bytes passed on. */
  readonly errorPassed: boolean;
  /** The answer's text so far, for counting when no usage came. */
  text(): string;
  /** How each choice of a complete answer has ended; none where anything was said in it. */
  stops?(): StopReason[];
  /**
   * Ends the answer where it stands, as one that has reached its limit of tokens. @param usage what it is told to have used.
   * @returns what ends the client's stream; undefined where that cannot be told from what has passed.
   */
  cut?(usage: Usage): Part | undefined;
  /** A failure as text that ends the client's stream. */
  writeError(error: GatewayError, requestId: string): string;
}

/** Takes events, and gives what of them is for the client. */
export interface Teller extends StreamWriter {
  take(): string | undefined;
}

export class RelayStage implements Stage {
  private readonly tap: Tap;
  private readonly stream: StreamTap;
  /** Where the stream turned out to be no stream any more. What was wrong is not passed on. */
  private broken: GatewayError | undefined;

  constructor(
    protected readonly dialect: ClientDialect,
    protected readonly outbound: Outbound,
  ) {
    this.tap = dialect.tap(outbound.target.quirks, outbound.hideUsage);
    this.stream = new StreamTap(dialect.tapMarkers, (event, data) => this.look(event, data));
  }

  /** What becomes of an event: see Observe. */
  protected look(event: string, data: string): boolean | string {
    if (this.broken !== undefined) return false;
    const { tap } = this;
    const failed = tap.error !== undefined;
    const pass = tap.push(event, data);
    if (tap.meaningful) this.stream.attentive = false;
    if (failed) return pass;
    // Taps do not read all that they are shown; what looks like an object but is none may pass.
    if ((tap.error !== undefined || !looksWhole(data)) && !isJson(data)) {
      this.broken = new GatewayError('upstream_invalid', "The provider's stream is not valid JSON.");
      return false;
    }
    if (tap.error === undefined) return pass;
    const clean = redactSecrets(data);
    return clean === data ? pass : `${event === '' ? '' : `event: ${event}\n`}data: ${clean}\n\n`;
  }

  push(chunk: Uint8Array): Part | undefined {
    return this.stream.push(chunk);
  }

  end(): Part | undefined {
    const rest = this.stream.end();
    if (!this.complete || this.tap.terminated || this.dialect.terminator === '') return rest;
    return rest === undefined
      ? this.dialect.terminator
      : Buffer.concat([rest, Buffer.from(this.dialect.terminator)]);
  }

  get usage(): Usage | undefined {
    return this.tap.usage;
  }

  get meaningful(): boolean {
    return this.tap.meaningful;
  }

  get complete(): boolean {
    return this.tap.complete && this.broken === undefined;
  }

  get terminated(): boolean {
    return this.tap.terminated && this.broken === undefined;
  }

  get error(): GatewayError | undefined {
    return this.broken ?? this.tap.error;
  }

  get errorPassed(): boolean {
    return this.broken === undefined;
  }

  writeError(error: GatewayError, requestId: string): string {
    return this.dialect.writeStreamError(error, requestId);
  }

  stops(): StopReason[] {
    const stops: StopReason[] = [];
    let said = false;
    this.readPassed((event) => {
      if (event.type === 'finish') stops.push(event.stop);
      said ||= saysSomething(event);
    }, true);
    // What the tap has no eye for says something all the same.
    return said ? [] : stops;
  }

  text(): string {
    let text = '';
    const size = this.readPassed((event) => {
      text += textOf(event);
    });
    // Only the beginning was kept: the rest is taken to be like it.
    const times = Math.round(this.stream.bytes / Math.max(1, size));
    return times > 1 ? text.repeat(Math.min(times, Math.ceil(maxChars / Math.max(1, text.length)))) : text;
  }

  /** @returns how many bytes there are of it. */
  private readPassed(emit: (event: ChatEvent) => void, toItsEnd = false): number {
    const reader = this.dialect.readStream(emit, this.outbound.target.quirks);
    const sse = new SseReader((event, data) => reader.push(event, data));
    let size = 0;
    for (const chunk of this.stream.passed()) {
      sse.push(chunk);
      size += chunk.length;
    }
    if (toItsEnd) reader.end();
    return size;
  }
}

/** An object as far as can be seen from outside, or one of the words that stand for none. */
function looksWhole(data: string): boolean {
  return data === '' || data === '[DONE]' || (data.startsWith('{') && data.endsWith('}'));
}

function isJson(data: string): boolean {
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}

/** Something a client would notice. */
function saysSomething(event: ChatEvent): boolean {
  if (event.type === 'delta') return event.text !== '';
  return event.type === 'block' && event.value.type !== 'text' && event.value.type !== 'reasoning';
}

export class TranslateStage implements Stage {
  usage: Usage | undefined;
  meaningful = false;
  complete = false;
  terminated = false;
  error: GatewayError | undefined;
  readonly errorPassed = false;
  private out = '';
  private said = '';
  private readonly frames: FrameReader;
  private readonly reader: StreamReader;
  private readonly writer: StreamWriter;
  /** What writes for the client, where it is not done here. */
  readonly teller: Teller | undefined;
  /** What stands open of the answer, where it may have to end anywhere. */
  standing: Standing | undefined;
  private readonly states = new StateCollector();
  private readonly ends: StopReason[] = [];
  private spoke = false;

  /** @param wish how the client wants it written; or what takes the events instead of the client. */
  constructor(
    private readonly client: ClientDialect,
    outbound: Outbound,
    wish: AnswerWish | StreamWriter,
    private readonly remember?: (blocks: readonly Block[]) => void,
  ) {
    const writer = 'push' in wish ? wish : this.writeFor(wish);
    this.writer = writer;
    this.teller = 'take' in writer ? (writer as Teller) : undefined;
    const { dialect, framing } = outbound.endpoint;
    const { toolIds } = client.can;
    this.reader = dialect.readStream((event) => {
      this.watch(event);
      if (event.type === 'start') event.model ||= outbound.target.model;
      if (event.type === 'block') event.value = restoreBlock(event.value, outbound.names, toolIds);
      if (remember !== undefined) this.note(event);
      this.standing?.push(event);
      // Nothing follows an error: neither what came with it, nor a last word.
      if (this.error === undefined) writer.push(event);
    }, outbound.target.quirks);
    this.frames = frameReader(framing, (name, text) => this.reader.push(name, text));
  }

  private note(event: ChatEvent): void {
    this.states.push(event);
    if (event.type === 'finish') this.remember?.(this.states.of(event.choice));
  }

  private writeFor(wish: AnswerWish): StreamWriter {
    return this.client.writeStream((text) => {
      this.out += text;
    }, wish);
  }

  push(chunk: Uint8Array): Part | undefined {
    this.frames.push(chunk);
    return this.take();
  }

  end(): Part | undefined {
    this.frames.end();
    this.reader.end();
    return this.take();
  }

  text(): string {
    return this.said;
  }

  stops(): StopReason[] {
    return this.spoke ? [] : this.ends;
  }

  cut(usage: Usage): Part | undefined {
    if (this.standing === undefined || this.complete) return undefined;
    for (const event of this.standing.ending(usage)) this.writer.push(event);
    this.complete = true;
    this.terminated = true;
    return this.take();
  }

  writeError(error: GatewayError, requestId: string): string {
    return this.writer.writeError?.(error, requestId) ?? this.client.writeStreamError(error, requestId);
  }

  private take(): string | undefined {
    if (this.teller !== undefined) return this.teller.take();
    const out = this.out;
    if (out === '') return undefined;
    this.out = '';
    return out;
  }

  private watch(event: ChatEvent): void {
    switch (event.type) {
      case 'delta':
        this.spoke ||= saysSomething(event);
        this.meaningful ||= this.spoke;
        if (this.said.length < maxChars) this.said += textOf(event);
        break;
      case 'start':
      case 'usage':
        if (event.usage !== undefined) this.usage = event.usage;
        break;
      case 'block':
        this.spoke ||= saysSomething(event);
        this.meaningful ||= this.spoke;
        break;
      case 'finish':
        this.ends.push(event.stop);
        this.meaningful = true;
        this.complete = true;
        break;
      case 'end':
        this.complete = true;
        this.terminated = true;
        break;
      case 'error':
        this.error = event.error;
    }
  }
}

function textOf(event: ChatEvent): string {
  if (event.type === 'delta') return (event.text ?? '') + (event.input ?? '');
  if (event.type === 'block' && event.value.type === 'tool-call') return event.value.name + event.value.input;
  return '';
}
