/** Takes compression off a body that came in it, although none was asked for. https://www.rfc-editor.org/rfc/rfc9110#name-content-encoding */
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { HttpError } from './head.ts';

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** Who takes the content. */
interface Taker {
  deliver(content: Uint8Array): void;
  decoded(): void;
  fail(error: HttpError): void;
}

/** @throws HttpError `bad_response` when nobody can read that. */
export function decoderFor(coding: string, taker: Taker): Transform | undefined {
  const name = coding.trim().toLowerCase();
  if (name === '' || name === 'identity') return undefined;
  const create = Object.hasOwn(decoders, name) ? decoders[name] : undefined;
  if (create === undefined) {
    throw new HttpError('bad_response', `the content encoding "${name.slice(0, 40)}" is not known`);
  }
  const decoder = create();
  decoder.on('data', (content: Uint8Array) => taker.deliver(content));
  decoder.on('end', () => taker.decoded());
  decoder.on('error', (cause) =>
    taker.fail(new HttpError('bad_response', 'the answer cannot be decompressed', { cause })),
  );
  return decoder;
}
