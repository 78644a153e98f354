/** Reads and writes whole streams with the stages of a dialect, as the gateway does piece by piece. */
import type { ChatEvent, ChatResponse, DialectName } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { Dialect } from '../../src/dialects/dialect.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { SseReader } from '../../src/wire/sse.ts';

export interface Frame {
  event: string;
  data: string;
}

const utf8 = new TextEncoder();

/** The events of a stream that arrives in `chunks`. */
export function splitFrames(...chunks: (Uint8Array | string)[]): Frame[] {
  const frames: Frame[] = [];
  const reader = new SseReader((event, data) => frames.push({ event, data }));
  for (const chunk of chunks) reader.push(typeof chunk === 'string' ? utf8.encode(chunk) : chunk);
  reader.end();
  return frames;
}

export function joinFrames(frames: readonly Frame[]): string {
  return frames
    .map(({ event, data }) => {
      const lines = data.split('\n').map((line) => `data: ${line}\n`);
      return `${event === '' ? '' : `event: ${event}\n`}${lines.join('')}\n`;
    })
    .join('');
}

/** The hub's events of these frames. `cut`: the bytes end without a word, `end()` is not called. */
export function readFrames(
  dialect: Dialect,
  frames: readonly Frame[],
  quirks: Quirks = {},
  cut = false,
): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = dialect.readStream((event) => {
    // A copy: what was emitted must not change afterwards. Errors do not survive copying.
    events.push(event.type === 'error' ? event : structuredClone(event));
  }, quirks);
  for (const { event, data } of frames) reader.push(event, data);
  if (!cut) reader.end();
  return events;
}

export function readText(dialect: Dialect, text: string, quirks: Quirks = {}): ChatEvent[] {
  return readFrames(dialect, splitFrames(text), quirks);
}

export function writeText(dialect: Dialect, events: readonly ChatEvent[], streamUsage = true): string {
  let text = '';
  const writer = dialect.writeStream(
    (piece) => {
      text += piece;
    },
    { streamUsage },
  );
  for (const event of events) writer.push(event);
  return text;
}

export function foldText(dialect: Dialect, text: string, quirks: Quirks = {}): ChatResponse {
  return fold(readText(dialect, text, quirks), dialect.name);
}

/** The answer these events spell; undefined when they end in the provider's error or in nothing. */
export function tryFold(events: readonly ChatEvent[], dialect: DialectName): ChatResponse | undefined {
  return events.at(-1)?.type === 'end' ? fold(events, dialect) : undefined;
}

/** The answer with its tool calls numbered: readers make up ids where a provider gave none. */
export function numberCalls(answer: ChatResponse): ChatResponse {
  let calls = 0;
  const choices = answer.choices.map((choice) => ({
    ...choice,
    blocks: choice.blocks.map((block) =>
      block.type === 'tool-call' ? { ...block, id: `call ${++calls}` } : block,
    ),
  }));
  return { ...answer, choices };
}
