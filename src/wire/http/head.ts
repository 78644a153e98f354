/** The head of an HTTP/1.1 response: status and headers, looked up in its text when asked for. */

export class ResponseHead {
  readonly status: number;
  /** The connection may carry another exchange after this one. */
  readonly keepAlive: boolean;
  private readonly lower: string;

  /**
   * @param text from the status line to the last header, without the blank line; one character per byte.
   * @throws HttpError when it is no HTTP response. https://www.rfc-editor.org/rfc/rfc9112#name-status-line
   */
  constructor(private readonly text: string) {
    const status = Number(text.slice(9, 12));
    if (!text.startsWith('HTTP/1.') || !(status >= 100 && status <= 599)) {
      throw new HttpError('bad_response', 'the answer is not HTTP');
    }
    this.status = status;
    this.lower = text.toLowerCase();
    const connection = this.get('connection')?.toLowerCase();
    this.keepAlive = text[7] === '1' ? connection !== 'close' : connection === 'keep-alive';
  }

  /** The first value of a header, by its lower-case name; null when it is not there. */
  get(name: string): string | null {
    const at = this.lower.indexOf(`\r\n${name}:`);
    if (at < 0) return null;
    const end = this.lower.indexOf('\r\n', at + 2);
    return this.text.slice(at + name.length + 3, end < 0 ? undefined : end).trim();
  }

  /** Whether a header stands there twice with different values. */
  contradicts(name: string): boolean {
    const first = this.lower.indexOf(`\r\n${name}:`);
    const last = this.lower.lastIndexOf(`\r\n${name}:`);
    if (first === last) return false;
    const valueAt = (at: number) =>
      this.lower
        .slice(at + name.length + 3)
        .split('\r\n', 1)[0]!
        .trim();
    return valueAt(first) !== valueAt(last);
  }

  /** All of them, for whoever wants to look around. */
  headers(): Headers {
    const headers = new Headers();
    for (const line of this.text.split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      if (colon <= 0) continue;
      try {
        headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
      } catch {
        // A name or value no header may have: nobody will ask for it.
      }
    }
    return headers;
  }
}

/**
 * `refused`, `not_found` (DNS), `tls`: no connection. `closed`: it ended before the answer did. `aborted` by us.
 * `bad_response`: what came is not HTTP, or beyond all bounds.
 */
export type HttpErrorKind = 'refused' | 'not_found' | 'tls' | 'closed' | 'aborted' | 'bad_response';

export class HttpError extends Error {
  override readonly name = 'HttpError';

  constructor(
    readonly kind: HttpErrorKind,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}
