/** Operations of the mock that show, speak and hear: the smallest image, silence, and a word on what was sent. */
import { audioLength } from '../../wire/audio.ts';
import type { Behaviour } from '../behaviour.ts';
import type { OperationAsk, Said } from '../operations.ts';
import { countTokens } from '../plan.ts';

/** One transparent pixel. */
const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

/** Tokens are told only where the model's name says how many. */
export function draw({ members, files }: OperationAsk, behaviour: Behaviour): Said {
  const usage = tokensOf(behaviour);
  const kind = files.length > 0 ? 'image_edit' : 'image_generation';
  if (isTrue(members.stream)) {
    const image = { b64_json: png, size: '1024x1024', quality: 'low', output_format: 'png' };
    const partial = { type: `${kind}.partial_image`, partial_image_index: 0, ...image };
    const events = Array.from({ length: Number(members.partial_images ?? 0) }, () => partial);
    return { events: [...events, { type: `${kind}.completed`, ...image, ...usage }] };
  }
  const image =
    members.response_format === 'url' ? { url: 'https://mock.invalid/pixel.png' } : { b64_json: png };
  const data = Array.from({ length: Number(members.n ?? 1) }, () => image);
  return { json: { created: Math.floor(Date.now() / 1000), data, ...usage } };
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}

function tokensOf({ input, output = 0 }: Behaviour): object {
  if (input === undefined) return {};
  const details = { input_tokens_details: { text_tokens: input, image_tokens: 0 } };
  return { usage: { total_tokens: input + output, input_tokens: input, output_tokens: output, ...details } };
}

const bytesPerMs = 8;
const msPerCharacter = 60;
const mostMs = 10_000;

/** Silence as long as the text takes, ten seconds at most. */
export function speak({ members }: OperationAsk, behaviour: Behaviour): Said {
  const text = String(members.input ?? '');
  const bytes = silence(behaviour.bytes ?? Math.min(text.length * msPerCharacter, mostMs) * bytesPerMs);
  if (members.stream_format !== 'sse') return { type: 'audio/wav', bytes };
  const { input = countTokens(text.length), output = text.length } = behaviour;
  return {
    events: [
      { type: 'speech.audio.delta', audio: Buffer.from(bytes).toString('base64') },
      {
        type: 'speech.audio.done',
        usage: { input_tokens: input, output_tokens: output, total_tokens: input + output },
      },
    ],
  };
}

/** A wave file of one channel, 8 bit, 8 kHz. */
function silence(size: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(44 + size).fill(0x80, 44);
  const view = new DataView(file.buffer);
  const write = (at: number, text: string): void => file.set(Buffer.from(text), at);
  write(0, 'RIFF');
  view.setUint32(4, 36 + size, true);
  write(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, bytesPerMs * 1000, true);
  view.setUint32(28, bytesPerMs * 1000, true);
  view.setUint16(32, 1, true);
  view.setUint16(34, 8, true);
  write(36, 'data');
  view.setUint32(40, size, true);
  return file;
}

/** Names the file, in whatever form is wanted. */
export function hear({ members, files }: OperationAsk, behaviour: Behaviour): Said {
  const file = files.find(({ name }) => name === 'file');
  const seconds = file === undefined ? 0 : audioLength(file.bytes).ms / 1000;
  const text = `[audio ${file?.filename ?? ''} ${file?.bytes.length ?? 0} bytes]`;
  const tokens = behaviour.input !== undefined;
  const { input = 0, output = 0 } = behaviour;
  const counted = tokens
    ? { type: 'tokens', input_tokens: input, output_tokens: output, total_tokens: input + output }
    : { type: 'duration', seconds: Math.ceil(seconds) };
  const usage = behaviour.usage === 'none' ? {} : { usage: counted };
  if (isTrue(members.stream)) {
    return {
      events: [
        { type: 'transcript.text.delta', delta: text },
        { type: 'transcript.text.done', text, ...usage },
      ],
    };
  }
  switch (members.response_format) {
    case 'text':
      return { type: 'text/plain; charset=utf-8', bytes: `${text}\n` };
    case 'srt':
      return { type: 'text/plain; charset=utf-8', bytes: `1\n00:00:00,000 --> 00:00:01,000\n${text}\n\n` };
    case 'vtt':
      return { type: 'text/vtt', bytes: `WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n${text}\n\n` };
    case 'verbose_json':
      return {
        json: { task: 'transcribe', language: 'english', duration: seconds, text, segments: [], ...usage },
      };
    default:
      return { json: { text, ...usage } };
  }
}
