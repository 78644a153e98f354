/** Relays an answer as bytes and keeps them, so that another attempt can go on with it, or it can end where it stands. */

import type { ChatEvent } from '../../core/chat.ts';
import type { GatewayError } from '../../core/error.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerWish, ClientDialect } from '../../dialects/dialect.ts';
import { SseReader } from '../../wire/sse.ts';
import type { Outbound } from '../render.ts';
import { type Part, RelayStage } from '../stages.ts';
import { Standing } from '../standing.ts';
import { ClientStream } from './client-stream.ts';
import { maxShown } from './shown.ts';

const newline = 0x0a;

export class KeptRelay extends RelayStage {
  private kept: Uint8Array[] | undefined = [];
  private size = 0;

  /**
   * @param wishOf how the client wants it written.
   * @param mendable another attempt may go on with it.
   */
  constructor(
    dialect: ClientDialect,
    outbound: Outbound,
    private readonly wishOf: () => AnswerWish,
    private readonly mendable: boolean,
  ) {
    super(dialect, outbound);
  }

  /** Nobody hears of a failure who may yet hear the rest of the answer. */
  protected override look(event: string, data: string): boolean | string {
    const verdict = super.look(event, data);
    return (this.error === undefined || !this.mendable) && verdict;
  }

  override get errorPassed(): boolean {
    return !this.mendable && super.errorPassed;
  }

  override push(chunk: Uint8Array): Part | undefined {
    return this.keep(super.push(chunk));
  }

  override end(): Part | undefined {
    return this.keep(super.end());
  }

  override writeError(error: GatewayError, requestId: string): string {
    return this.gap + super.writeError(error, requestId);
  }

  private keep(part: Part | undefined): Part | undefined {
    if (part === undefined || this.kept === undefined) return part;
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    this.size += bytes.length;
    if (this.size > maxShown) this.kept = undefined;
    else this.kept.push(bytes);
    return part;
  }

  /** Ends the last event, where the provider has not. */
  get gap(): string {
    const last = this.kept?.at(-1);
    return last === undefined || (last.at(-1) === newline && last.at(-2) === newline) ? '' : '\n\n';
  }

  /** A last event that has not ended is not passed on: what follows takes its place. */
  cut(usage: Usage): Part | undefined {
    const { kept, dialect } = this;
    if (kept === undefined || this.complete) return undefined;
    let out = '';
    const writer = dialect.writeStream((text) => {
      out += text;
    }, this.wishOf());
    const standing = new Standing();
    const { passed } = this.readBack(kept, (event) => {
      standing.push(event);
      if (event.type !== 'error') writer.push(event);
    });
    writer.follow?.(passed);
    out = '';
    for (const event of standing.ending(usage)) writer.push(event);
    return this.gap + out;
  }

  /** Where the client stands by what has passed; undefined where that cannot be told. */
  replay({ id: _, kept: __, ...wish }: AnswerWish): ClientStream | undefined {
    const { kept, dialect } = this;
    if (kept === undefined) return undefined;
    const stream = new ClientStream(dialect, wish);
    const { passed, pending } = this.readBack(kept, (event) => {
      if (event.type !== 'error') stream.push(event);
    });
    if (pending || stream.waits) return undefined;
    stream.follow(passed);
    return stream;
  }

  /** Reads what was passed on once more. @returns its text, and whether something in it waits for more. */
  private readBack(
    kept: readonly Uint8Array[],
    hear: (event: ChatEvent) => void,
  ): { passed: string; pending: boolean } {
    const { quirks, model } = this.outbound.target;
    const reader = this.dialect.readStream((event) => {
      if (event.type === 'start') event.model ||= model;
      hear(event);
    }, quirks);
    const sse = new SseReader((event, data) => reader.push(event, data));
    const bytes = Buffer.concat(kept);
    sse.push(bytes);
    sse.end();
    return { passed: bytes.toString(), pending: reader.pending === true };
  }
}
