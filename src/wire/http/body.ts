/** Takes the framing off the body of an HTTP/1.1 message. https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length */
import { ChunkedBody } from './chunked.ts';
import { HttpError, type ResponseHead } from './head.ts';

export interface BodyReader {
  /** The last byte of the body has been seen. */
  readonly done: boolean;
  /** Bytes behind the body's end, where some have been seen. */
  readonly rest: Uint8Array | undefined;
  /** @returns the content in `bytes`, possibly none; `bytes` may be overwritten. @throws HttpError `bad_response`. */
  take(bytes: Uint8Array): Uint8Array;
  /** The connection ended. @returns whether that is a proper end of the body. */
  end(): boolean;
}

/** @throws HttpError `bad_response` when the head contradicts itself. */
export function readerFor(head: ResponseHead): BodyReader {
  // What follows is no body, but the protocol that was switched to.
  if (head.status === 101) return new OpenBody();
  if (head.status === 204 || head.status === 304) return new SizedBody(0);
  const encoding = head.get('transfer-encoding');
  if (encoding !== null) {
    if (encoding.toLowerCase() === 'chunked') return new ChunkedBody(false);
    throw new HttpError('bad_response', `the transfer encoding "${encoding.slice(0, 40)}" is not known`);
  }
  const length = head.get('content-length');
  if (length === null) return new OpenBody();
  if (!/^\d{1,15}$/.test(length) || head.contradicts('content-length')) {
    throw new HttpError('bad_response', 'the content length is not a number');
  }
  return new SizedBody(Number(length));
}

export class SizedBody implements BodyReader {
  rest: Uint8Array | undefined;

  constructor(private left: number) {}

  get done(): boolean {
    return this.left === 0;
  }

  get leftBytes(): number {
    return this.left;
  }

  take(bytes: Uint8Array): Uint8Array {
    if (bytes.length <= this.left) {
      this.left -= bytes.length;
      return bytes;
    }
    const content = bytes.subarray(0, this.left);
    this.rest = bytes.subarray(this.left);
    this.left = 0;
    return content;
  }

  end(): boolean {
    return this.left === 0;
  }
}

/** Ends with the connection. */
class OpenBody implements BodyReader {
  done = false;
  readonly rest = undefined;

  take(bytes: Uint8Array): Uint8Array {
    return bytes;
  }

  end(): boolean {
    this.done = true;
    return true;
  }
}
