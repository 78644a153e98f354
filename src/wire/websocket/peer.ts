/** One side of a WebSocket over bytes: sends and hears messages, answers pings, closes as the protocol wants it. */
import type { Tunnel } from '../tunnel.ts';
import {
  closeCodes,
  FrameError,
  type Message,
  writeClose,
  writeMessage,
  writePing,
  writePong,
} from './frames.ts';
import { MessageReader } from './reader.ts';

export interface PeerEvents {
  message(message: Message): void;
  ping(data: Uint8Array): void;
  /** All that waited to be sent is out. */
  drained(): void;
  /**
   * Nothing comes any more; told once. 1005: closed without a code; 1006: without a word, or (with a reason) because
   * what came could not be read.
   */
  closed(code: number, reason: string): void;
}

/** Whoever was told to close is not waited for longer. */
const closingMs = 2000;
const noBytes = new Uint8Array();

export class WebSocketPeer {
  private readonly reader: MessageReader;
  /** A close frame was sent: nothing follows it. */
  private closing = false;
  private over = false;
  private lateCut: ReturnType<typeof setTimeout> | undefined;
  private pinging: ReturnType<typeof setInterval> | undefined;
  /** Something has come since the last look. */
  private heard = true;

  /**
   * @param client we are the client, whose frames are masked.
   * @param maxBytes of a message that is heard.
   */
  constructor(
    private readonly tunnel: Tunnel,
    private readonly events: PeerEvents,
    private readonly client: boolean,
    maxBytes: number,
  ) {
    tunnel.onDrained = () => events.drained();
    const heard = {
      message: (message: Message) => events.message(message),
      ping: (data: Uint8Array) => {
        if (!this.closing) tunnel.write(writePong(data, client));
        events.ping(data);
      },
      pong: () => {},
      close: (code: number, reason: string) => this.heardClose(code, reason),
    };
    this.reader = new MessageReader(heard, !client, maxBytes);
  }

  /**
   * Reads until nothing comes any more. Never rejects, unless an event throws.
   * @param ready asked before each reading: where it returns a promise, the other side waits until it resolves.
   */
  async listen(ready: () => Promise<void> | undefined = () => undefined): Promise<void> {
    let reason = '';
    try {
      while (!this.over) {
        const waiting = ready();
        if (waiting !== undefined) await waiting;
        const read = this.tunnel.read();
        const bytes = read instanceof Promise ? await read.catch(() => undefined) : read;
        if (bytes === undefined) break;
        this.heard = true;
        this.reader.push(bytes);
      }
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      reason = thrown.message;
      this.close(thrown.code, reason);
    }
    this.end(closeCodes.abnormal, reason);
  }

  /** Bytes that wait to be sent. */
  get unsentBytes(): number {
    return this.tunnel.unsentBytes;
  }

  send(message: Message): void {
    if (!this.closing) this.tunnel.write(writeMessage(message, this.client));
  }

  ping(data: Uint8Array): void {
    if (!this.closing) this.tunnel.write(writePing(data, this.client));
  }

  /** Asks whether the other side is there, when nothing is heard, and hangs up when that stays so for `silentMs`. */
  keepAlive(silentMs: number): void {
    let asked = false;
    this.pinging = setInterval(() => {
      // What is still on its way has to be read before the question is.
      if (this.heard || this.unsentBytes > 0) asked = false;
      else if (asked) this.cut();
      else {
        asked = true;
        this.ping(noBytes);
      }
      this.heard = false;
    }, silentMs / 2);
    this.pinging.unref();
  }

  /** Says good-bye and hangs up, soon even where the other side does not answer. */
  close(code: number, reason: string): void {
    if (this.closing) return;
    this.closing = true;
    this.tunnel.write(writeClose(code, reason, this.client));
    this.lateCut = setTimeout(() => this.tunnel.cut(), closingMs);
    this.lateCut.unref();
  }

  /** Hangs up without a word. */
  cut(): void {
    this.closing = true;
    this.tunnel.cut();
  }

  private heardClose(code: number, reason: string): void {
    this.close(code, reason);
    this.end(code, reason);
  }

  private end(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.lateCut);
    clearInterval(this.pinging);
    // The last words have their time to arrive.
    this.tunnel.end();
    setTimeout(() => this.tunnel.cut(), closingMs).unref();
    this.events.closed(code, reason);
  }
}
