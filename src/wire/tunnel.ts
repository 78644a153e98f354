/** Bytes both ways: what a connection is once it has gone on in another protocol, and the same within this process. */

export interface Tunnel {
  /** The next bytes, at once where they are there; undefined at the end. Rejects when it was broken off. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Sends, at once or as soon as there is room. */
  write(bytes: Uint8Array): void;
  /** How many bytes wait to be sent. */
  readonly unsentBytes: number;
  /** Told when none waits any more. */
  onDrained: (() => void) | undefined;
  /** Sends no more once all is out. */
  end(): void;
  /** Breaks it off, both ways. */
  cut(): void;
}

/** The answer to a request to go on in another protocol: a tunnel where `status` is 101, a body to read otherwise. */
export interface Switched extends Tunnel {
  readonly status: number;
  /** The first value of a header, by its lower-case name. */
  header(name: string): string | null;
  headers(): Headers;
}

/** One direction: bytes wait in it until they are read. */
export class Pipe {
  private readonly queue: Uint8Array[] = [];
  private waiting: ((bytes: Uint8Array | undefined) => void) | undefined;
  private ended = false;
  queuedBytes = 0;
  onDrained: (() => void) | undefined;

  push(bytes: Uint8Array): void {
    if (this.ended) return;
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting !== undefined) {
      waiting(bytes);
      return;
    }
    this.queue.push(bytes);
    this.queuedBytes += bytes.length;
  }

  end(): void {
    this.ended = true;
    this.waiting?.(undefined);
    this.waiting = undefined;
  }

  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const next = this.queue.shift();
    if (next !== undefined) {
      this.queuedBytes -= next.length;
      if (this.queuedBytes === 0) this.onDrained?.();
      return next;
    }
    if (this.ended) return undefined;
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }
}

/** Both ends of a connection within this process. */
export function pairTunnels(): [Tunnel, Tunnel] {
  const there = new Pipe();
  const back = new Pipe();
  return [new PipeTunnel(back, there), new PipeTunnel(there, back)];
}

class PipeTunnel implements Tunnel {
  constructor(
    private readonly from: Pipe,
    private readonly to: Pipe,
  ) {}

  read(): ReturnType<Tunnel['read']> {
    return this.from.read();
  }

  write(bytes: Uint8Array): void {
    this.to.push(bytes);
  }

  get unsentBytes(): number {
    return this.to.queuedBytes;
  }

  get onDrained(): Tunnel['onDrained'] {
    return this.to.onDrained;
  }

  set onDrained(told: Tunnel['onDrained']) {
    this.to.onDrained = told;
  }

  end(): void {
    this.to.end();
  }

  cut(): void {
    this.from.end();
    this.to.end();
  }
}
