/** The thread behind tokenizer.ts. */
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

declare const self: Worker;

/** Of a longer text the beginning is counted, and the rest taken to be like it: a second of counting helps nobody. */
const countedChars = 64 * 1024;
/** Long runs without a space are what makes tokenizers slow: they are counted piece by piece. */
const pieceChars = 8 * 1024;

self.onmessage = (event: MessageEvent<{ id: number; text: string }>) => {
  const { id, text } = event.data;
  let tokens = 0;
  const counted = Math.min(text.length, countedChars);
  for (let at = 0; at < counted; at += pieceChars) {
    // Special tokens in a text are text: they must neither throw nor count as one.
    tokens += countTokens(text.slice(at, Math.min(at + pieceChars, counted)), {
      disallowedSpecial: new Set(),
    });
  }
  self.postMessage({ id, tokens: counted === 0 ? 0 : Math.round((tokens * text.length) / counted) });
};
