/** The two ways an answer's stream passes through: as bytes with a tap on the side, or event by event through the hub. */
import type { Block, ChatEvent } from '../core/chat.ts';
import type { GatewayError } from '../core/error.ts';
import { restoreBlock } from '../core/tool-words.ts';
import type { Usage } from '../core/usage.ts';
import type { AnswerWish, ClientDialect, StreamReader, StreamWriter, Tap } from '../dialects/dialect.ts';
import { type FrameReader, frameReader } from '../wire/framing.ts';
import { SseReader } from '../wire/sse.ts';
import { StreamTap } from '../wire/tap.ts';
import { maxChars } from './estimate.ts';
import type { Outbound } from './render.ts';
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
  /** A failure as text that ends the client's stream. */
  writeError(error: GatewayError, requestId: string): string;
}

export class RelayStage implements Stage {
  private readonly tap: Tap;
  private readonly stream: StreamTap;
  readonly errorPassed = true;

  constructor(
    private readonly dialect: ClientDialect,
    private readonly outbound: Outbound,
  ) {
    const tap = dialect.tap(outbound.target.quirks, outbound.hideUsage);
    this.tap = tap;
    this.stream = new StreamTap(dialect.tapMarkers, outbound.hideUsage, (event, data) => {
      const pass = tap.push(event, data);
      if (tap.meaningful) this.stream.attentive = false;
      return pass;
    });
  }

  push(chunk: Uint8Array): Part | undefined {
    return this.stream.push(chunk);
  }

  end(): Part | undefined {
    const rest = this.stream.end();
    if (!this.tap.complete || this.tap.terminated || this.dialect.terminator === '') return rest;
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
    return this.tap.complete;
  }

  get terminated(): boolean {
    return this.tap.terminated;
  }

  get error(): GatewayError | undefined {
    return this.tap.error;
  }

  writeError(error: GatewayError, requestId: string): string {
    return this.dialect.writeStreamError(error, requestId);
  }

  text(): string {
    const passed = this.stream.passed();
    let text = '';
    const reader = this.dialect.readStream((event) => {
      text += textOf(event);
    }, this.outbound.target.quirks);
    const sse = new SseReader((event, data) => reader.push(event, data));
    let size = 0;
    for (const chunk of passed) {
      sse.push(chunk);
      size += chunk.length;
    }
    // Only the beginning was kept: the rest is taken to be like it.
    const times = Math.round(this.stream.bytes / Math.max(1, size));
    return times > 1 ? text.repeat(Math.min(times, Math.ceil(maxChars / Math.max(1, text.length)))) : text;
  }
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
  private readonly states = new StateCollector();

  /** @param wish how the client wants it written; or what takes the events instead of the client. */
  constructor(
    private readonly client: ClientDialect,
    outbound: Outbound,
    wish: AnswerWish | StreamWriter,
    private readonly remember?: (blocks: readonly Block[]) => void,
  ) {
    const writer = 'push' in wish ? wish : this.writeFor(wish);
    this.writer = writer;
    const { dialect, framing } = outbound.endpoint;
    const { toolIds } = client.can;
    this.reader = dialect.readStream((event) => {
      this.watch(event);
      if (event.type === 'start') event.model ||= outbound.target.model;
      if (event.type === 'block') event.value = restoreBlock(event.value, outbound.names, toolIds);
      if (remember !== undefined) this.note(event);
      if (event.type !== 'error') writer.push(event);
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

  writeError(error: GatewayError, requestId: string): string {
    return this.writer.writeError?.(error, requestId) ?? this.client.writeStreamError(error, requestId);
  }

  private take(): string | undefined {
    const out = this.out;
    if (out === '') return undefined;
    this.out = '';
    return out;
  }

  private watch(event: ChatEvent): void {
    switch (event.type) {
      case 'delta':
        this.meaningful = true;
        if (this.said.length < maxChars) this.said += textOf(event);
        break;
      case 'start':
      case 'usage':
        if (event.usage !== undefined) this.usage = event.usage;
        break;
      case 'block':
        if (event.value.type !== 'text' && event.value.type !== 'reasoning') this.meaningful = true;
        break;
      case 'finish':
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
