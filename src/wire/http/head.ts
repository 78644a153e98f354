/** The head of an HTTP/1.1 response: status and headers, looked up in its text when asked for. */

export class ResponseHead {
  readonly status: number;
  /** The connection may carry another exchange after this one. */
  readonly keepAlive: boolean;
  /** All of it in lower case. */
  readonly lower: string;

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
    const line = lineStart(name);
    const at = this.lower.indexOf(line);
    return at < 0 ? null : this.valueAt(at + line.length);
  }

  /** Whether a header stands there twice with different values. */
  contradicts(name: string): boolean {
    const line = lineStart(name);
    const first = this.lower.indexOf(line);
    const last = this.lower.lastIndexOf(line);
    return first !== last && this.valueAt(first + line.length) !== this.valueAt(last + line.length);
  }

  private valueAt(from: number): string {
    const end = this.lower.indexOf('\r\n', from);
    return this.text.slice(from, end < 0 ? undefined : end).trim();
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

const lineStarts = new Map<string, string>();

/** How a header's line begins, made once for each of the few names that are asked for. */
function lineStart(name: string): string {
  let line = lineStarts.get(name);
  if (line === undefined) {
    line = `\r\n${name}:`;
    lineStarts.set(name, line);
  }
  return line;
}

/**
 * `refused`, `not_found` (DNS), `tls`: no connection. `closed`: it ended before the answer did; `stale`: before any of it,
 * on a connection that had waited for work, which its server may have closed meanwhile. `aborted` by us.
 * `bad_response`: what came is not HTTP, or beyond all bounds.
 */
export type HttpErrorKind = 'refused' | 'not_found' | 'tls' | 'closed' | 'stale' | 'aborted' | 'bad_response';

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
