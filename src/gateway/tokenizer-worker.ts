/** The thread behind tokenizer.ts. */
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

declare const self: Worker;

/** Long runs without a space are what makes tokenizers slow: they are counted piece by piece. */
const pieceChars = 8 * 1024;

self.onmessage = (event: MessageEvent<{ id: number; text: string }>) => {
  const { id, text } = event.data;
  let tokens = 0;
  for (let at = 0; at < text.length; at += pieceChars) {
    // Special tokens in a text are text: they must neither throw nor count as one.
    tokens += countTokens(text.slice(at, at + pieceChars), { disallowedSpecial: new Set() });
  }
  self.postMessage({ id, tokens });
};
