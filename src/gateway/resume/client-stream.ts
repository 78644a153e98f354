/** The client's stream where more than one attempt may have a part in it: what was told, and what waits to be passed on. */
import type { ChatEvent } from '../../core/chat.ts';
import type { GatewayError } from '../../core/error.ts';
import type { AnswerWish, ClientDialect, StreamWriter } from '../../dialects/dialect.ts';
import type { Teller } from '../stages.ts';
import { Shown } from './shown.ts';

export class ClientStream implements Teller {
  readonly shown = new Shown();
  private readonly writer: StreamWriter;
  /** Not passed on yet. */
  private out = '';
  /** Tool calls of which nothing can be shown yet, and what comes after them. */
  private waiting: ChatEvent[] = [];
  private openCalls = 0;

  constructor(
    private readonly dialect: ClientDialect,
    wish: AnswerWish,
  ) {
    this.writer = dialect.writeStream((text) => {
      this.out += text;
    }, wish);
  }

  push(event: ChatEvent): void {
    if (event.type === 'block' && event.value.type === 'tool-call' && event.value.input === '') {
      this.openCalls++;
      this.waiting.push(event);
    } else if (this.waiting.length === 0) this.tell(event);
    else this.wait(event);
  }

  /** A call can be begun anew for as long as it waits. Where calls are told whole, all of it does. */
  private wait(event: ChatEvent): void {
    this.waiting.push(event);
    if (event.type === 'close') this.openCalls--;
    if (this.dialect.wholeCalls && this.openCalls > 0 && event.type !== 'finish') return;
    const told = this.waiting;
    this.dropWaiting();
    for (const each of told) this.tell(each);
  }

  private tell(event: ChatEvent): void {
    this.shown.push(event);
    this.writer.push(event);
  }

  get waits(): boolean {
    return this.waiting.length > 0;
  }

  /** What broke off before anything of it was shown was never said. */
  dropWaiting(): void {
    this.waiting = [];
    this.openCalls = 0;
  }

  /** All that was written so far has reached the client by another way, as these frames. */
  follow(passed: string): void {
    this.writer.follow?.(passed);
    this.out = '';
  }

  take(): string | undefined {
    if (this.out === '') return undefined;
    const { out } = this;
    this.out = '';
    return out;
  }

  /** @returns the remark as it stands in the stream. */
  remark(name: string, value: string): string {
    if (this.writer.remark === undefined) return `: ${name} ${value}\n\n`;
    const before = this.out;
    this.out = '';
    this.writer.remark(name, value);
    const remark = this.out;
    this.out = before;
    return remark;
  }

  writeError(error: GatewayError, requestId: string): string {
    const written =
      this.writer.writeError?.(error, requestId) ?? this.dialect.writeStreamError(error, requestId);
    return (this.take() ?? '') + written;
  }
}
