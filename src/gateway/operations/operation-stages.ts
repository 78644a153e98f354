/** The two kinds of streams that operations beside chat answer with: bytes of audio, and events. */
import type { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { sumUsage, type Usage } from '../../core/usage.ts';
import type { ClientDialect } from '../../dialects/dialect.ts';
import { classifyErrorPayload } from '../../dialects/upstream-error.ts';
import { StreamTap } from '../../wire/tap.ts';
import type { Part, Stage } from '../stages.ts';
import type { OperationInbound } from './operation-inbound.ts';

/** Sound as it comes. Its last byte is held back, so that it leaves when the charge is written. */
export class AudioStage implements Stage {
  readonly error = undefined;
  readonly errorPassed = false;
  readonly terminated = false;
  meaningful = false;
  complete = false;
  private held: Uint8Array | undefined;

  constructor(private readonly inbound: OperationInbound) {}

  /** Known from the request, as soon as anything has come. */
  get usage(): Usage | undefined {
    const { inbound } = this;
    const usage = this.meaningful ? inbound.operation.usage({}, inbound.ask) : undefined;
    return inbound.isEnough(usage) ? usage : undefined;
  }

  push(chunk: Uint8Array): Part | undefined {
    if (chunk.length === 0) return undefined;
    this.meaningful = true;
    const { held } = this;
    this.held = chunk.subarray(-1);
    const rest = chunk.subarray(0, -1);
    return held === undefined ? rest : Buffer.concat([held, rest]);
  }

  end(): Part | undefined {
    this.complete = this.meaningful;
    return this.held;
  }

  text(): string {
    return '';
  }

  /**
   * Nothing can be said among sound: the connection breaks, so that nobody takes a part for the whole. The failure has
   * been recorded; thrown as nothing, it is not printed as an error that nobody has caught.
   */
  writeError(): never {
    throw undefined;
  }
}

/** `image_generation.completed`, `transcript.text.done`, and what failed. */
const markers = ['.completed', '.done', 'error'];
const lastWord = /\.(completed|done)$/;

/** Events passed on as they are, of which the last one tells the usage. */
export class EventStage implements Stage {
  readonly errorPassed = true;
  error: GatewayError | undefined;
  meaningful = false;
  private readonly told: Usage[] = [];
  private last = 0;
  private readonly stream: StreamTap;

  constructor(
    private readonly inbound: OperationInbound,
    private readonly dialect: ClientDialect,
  ) {
    this.stream = new StreamTap(markers, (name, data) => {
      this.watch(name, data);
      return true;
    });
  }

  push(chunk: Uint8Array): Part | undefined {
    return this.stream.push(chunk);
  }

  end(): Part | undefined {
    return this.stream.end();
  }

  get usage(): Usage | undefined {
    const usage = this.told.length === 0 ? undefined : sumUsage(this.told);
    return this.inbound.isEnough(usage) ? usage : undefined;
  }

  get complete(): boolean {
    return this.last > 0;
  }

  /** Every image has a last word of its own. */
  get terminated(): boolean {
    return this.last > 0 && this.last >= (this.inbound.estimate.units?.image ?? 1);
  }

  text(): string {
    return '';
  }

  writeError(error: GatewayError, requestId: string): string {
    return this.dialect.writeStreamError(error, requestId);
  }

  private watch(name: string, data: string): void {
    if (data === '[DONE]') return;
    const failed = name === 'error' || /^\s*\{\s*"error"/.test(data);
    // What is on its way is large, and says nothing of the end.
    const passing = !failed && name !== '' && !lastWord.test(name);
    const event = passing ? {} : parse(data);
    if (event === undefined) return;
    if (event.type === 'error' || isObject(event.error)) {
      this.error = classifyErrorPayload(event);
      return;
    }
    this.meaningful = true;
    this.stream.attentive = false;
    if (!lastWord.test(String(event.type ?? name))) return;
    this.last++;
    const usage = this.inbound.operation.usage(event, this.inbound.ask);
    if (usage !== undefined) this.told.push(usage);
  }
}

function parse(data: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
