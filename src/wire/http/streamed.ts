/** Request bodies that are sent while they come, so that none of them is ever in memory as a whole. */

export interface StreamedBody {
  chunks: AsyncIterable<Uint8Array>;
  /** Bytes of all chunks together; undefined: not known before the last of them. */
  size: number | undefined;
}

/** What a request may have as its body; undefined: none, and nothing is said of one. */
export type RequestBody = Uint8Array | string | StreamedBody | undefined;

export function isStreamed(body: RequestBody): body is StreamedBody {
  return typeof body === 'object' && 'chunks' in body;
}

/** How a streamed body is announced. https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length */
export function framingLine({ size }: StreamedBody): string {
  return size === undefined ? 'transfer-encoding: chunked\r\n' : `content-length: ${size}\r\n`;
}

/**
 * The bytes to send, in order.
 * @throws Error when there are more or fewer of them than were announced: what follows would be taken for another request.
 */
export async function* framed({ chunks, size }: StreamedBody): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of chunks) {
    // An empty chunk would be the last one.
    if (chunk.length === 0) continue;
    sent += chunk.length;
    if (size === undefined) {
      yield Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1');
      yield chunk;
      yield lineEnd;
    } else if (sent <= size) yield chunk;
    else throw new Error(`the body is longer than the ${size} bytes that were announced`);
  }
  if (size === undefined) yield lastChunk;
  else if (sent < size) throw new Error(`the body ended after ${sent} of ${size} bytes`);
}

const lineEnd = Buffer.from('\r\n', 'latin1');
const lastChunk = Buffer.from('0\r\n\r\n', 'latin1');
