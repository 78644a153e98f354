/** What the benchmark's upstream answers, ready to send: the words of the mock provider on each of its wires. */
import { newAsk } from '../src/mock/ask.ts';
import type { Bytes } from '../src/mock/framing.ts';
import { type Asked, matchPath } from '../src/mock/routes.ts';
import type { Turn } from '../src/mock/wire.ts';

export interface Voice {
  whole: Bytes;
  wholeHeaders: Record<string, string>;
  /** How a stream begins: no word yet; empty where the dialect says nothing before the first. */
  open: Bytes;
  /** The chunk that is repeated: a word of text. */
  chunk: Bytes;
  /** The last words and all that follows, as if the chunk had come once. */
  close: Bytes;
  streamHeaders: Record<string, string>;
}

/** Stands in every whole answer. */
export const wholeText = 'The harbour opens at six, and the tide is with us until half past nine.';
/** Every chunk of text has this, in whatever dialect it arrives; no whole text has. */
export const chunkMark = '" harbour"';

const word = ' harbour';
const lastWords = ' at six.';

/** @returns how a provider at this path answers, and the model where the path names it; undefined where there is none. */
export function voiceAt(path: string): { voice: Voice; model: string | undefined } | undefined {
  const asked = matchPath({ method: 'POST', path, header: () => null, headers: () => ({}), body: '' });
  return asked?.act === 'chat' ? { voice: voiceOf(asked), model: asked.given.model } : undefined;
}

function voiceOf({ wire, voice: { idHeader }, framing }: Asked): Voice {
  const id: Record<string, string> = idHeader === undefined ? {} : { [idHeader]: 'req_bench' };
  const whole = wire.whole(turnOf(wire.ids.answer, `${wholeText} `.repeat(4).trim()));
  const events = wire.events(turnOf(wire.ids.answer, word + lastWords));
  const pieces = framing.frame(events).map((piece) => Buffer.from(piece as string));
  const at = events.findIndex(({ data }) => data.includes(chunkMark));
  return {
    whole: Buffer.from(JSON.stringify(whole)),
    wholeHeaders: { 'content-type': 'application/json', ...id },
    open: Buffer.concat(pieces.slice(0, at)),
    chunk: pieces[at]!,
    close: Buffer.concat(pieces.slice(at + 1)),
    streamHeaders: { ...framing.headers, ...id },
  };
}

function turnOf(prefix: string, text: string): Turn {
  const bare = 'bench0000000000000000000001';
  return {
    id: prefix + bare,
    model: 'bench',
    created: 1_700_000_000,
    ask: newAsk({}, 'bench', true),
    plan: {
      parts: [{ type: 'text', text }],
      stop: 'end',
      usage: { input: 120, cached: 64, written: 0, output: 80, reasoning: 0 },
      pieceLength: word.length,
    },
    behaviour: { say: 'echo' },
    newId: (kind) => kind + bare,
  };
}
