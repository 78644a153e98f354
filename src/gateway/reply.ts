/** A provider's reply as the gateway reads it, whether it came over a socket or from a transport in this process. */

export interface Reply {
  readonly status: number;
  /** The first value of a header, by its lower-case name. */
  header(name: string): string | null;
  headers(): Headers;
  /** The next bytes, at once where they are there; undefined at the end. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** What a transport answers, read the same way. */
export class TransportReply implements Reply {
  private readonly reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } | undefined;

  constructor(private readonly response: Response) {
    this.reader = response.body?.getReader();
  }

  get status(): number {
    return this.response.status;
  }

  header(name: string): string | null {
    return this.response.headers.get(name);
  }

  headers(): Headers {
    return this.response.headers;
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.reader === undefined) return undefined;
    const { done, value } = await this.reader.read();
    return done ? undefined : value;
  }
}
