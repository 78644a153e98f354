/** A provider's reply as the gateway reads it, whether it came over a socket or from a transport in this process. */

export interface Reply {
  readonly status: number;
  /** The first value of a header, by its lower-case name. */
  header(name: string): string | null;
  headers(): Headers;
  /** Status line and headers in lower case, each on its line, for those who look for something before they read it. */
  readonly headText: string;
  /** The next bytes, at once where they are there; undefined at the end. */
  read(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** What a transport answers, read the same way. */
export class TransportReply implements Reply {
  /** Bytes of the body so far. */
  received = 0;
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

  get headText(): string {
    let text = '';
    this.response.headers.forEach((value, name) => {
      text += `\r\n${name}: ${value}`;
    });
    return text.toLowerCase();
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.reader === undefined) return undefined;
    const { done, value } = await this.reader.read();
    if (done || value === undefined) return undefined;
    this.received += value.length;
    return value;
  }
}
