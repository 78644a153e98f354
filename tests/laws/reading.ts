/** Reads and writes whole streams with the stages of a dialect, as the gateway does piece by piece. */
import type { ChatEvent, ChatResponse, DialectName } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { ClientDialect, Dialect } from '../../src/dialects/dialect.ts';
import type { Quirks } from '../../src/dialects/quirks.ts';
import { encodeEvent } from '../../src/wire/event-stream.ts';
import { type Framing, frameReader } from '../../src/wire/framing.ts';
import type { StreamSample } from './samples.ts';

export interface Frame {
  event: string;
  data: string;
}

const utf8 = new TextEncoder();

/** The frames of a stream that arrives in `chunks`. */
export function splitFrames(framing: Framing, ...chunks: Uint8Array[]): Frame[] {
  const frames: Frame[] = [];
  const reader = frameReader(framing, (event, data) => frames.push({ event, data }));
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return frames;
}

/** The frames of what a dialect writes to its clients. */
export function splitText(text: string): Frame[] {
  return splitFrames('sse', utf8.encode(text));
}

export function joinFrames(framing: Framing, frames: readonly Frame[]): Uint8Array {
  return Buffer.concat(frames.map((frame) => encoders[framing](frame)));
}

const encoders: Readonly<Record<Framing, (frame: Frame) => Uint8Array>> = {
  sse: ({ event, data }) => {
    const lines = data.split('\n').map((line) => `data: ${line}\n`);
    return utf8.encode(`${event === '' ? '' : `event: ${event}\n`}${lines.join('')}\n`);
  },
  ndjson: ({ data }) => utf8.encode(`${data.replaceAll('\n', ' ')}\n`),
  'aws-events': encodeAwsEvent,
  'aws-chunks': (frame) =>
    frame.event.startsWith('exception:')
      ? encodeAwsEvent(frame)
      : encodeAwsEvent({
          event: 'chunk',
          data: JSON.stringify({ bytes: Buffer.from(frame.data).toString('base64') }),
        }),
};

function encodeAwsEvent({ event, data }: Frame): Uint8Array {
  const [kind, type] = event.startsWith('exception:')
    ? ['exception', event.slice('exception:'.length)]
    : ['event', event];
  return encodeEvent({ [`:${kind}-type`]: type, ':message-type': kind }, data);
}

/** The hub's events of these frames. */
export function readFrames(dialect: Dialect, frames: readonly Frame[], quirks: Quirks = {}): ChatEvent[] {
  const events: ChatEvent[] = [];
  const reader = dialect.readStream((event) => {
    // A copy: what was emitted must not change afterwards. Errors do not survive copying.
    events.push(event.type === 'error' ? event : structuredClone(event));
  }, quirks);
  for (const { event, data } of frames) reader.push(event, data);
  reader.end();
  return events;
}

export function readStream({ dialect, framing, quirks, content }: StreamSample): ChatEvent[] {
  return readFrames(dialect, splitFrames(framing, content), quirks);
}

export function writeText(dialect: ClientDialect, events: readonly ChatEvent[], streamUsage = true): string {
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

/** The answer in what a dialect writes to its clients. */
export function foldText(dialect: ClientDialect, text: string): ChatResponse {
  return fold(readFrames(dialect, splitText(text)), dialect.name);
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
