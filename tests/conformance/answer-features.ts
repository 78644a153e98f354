/** What answers may have in them, as the hub tells it. */
import type { Block, ChatResponse } from '../../src/core/chat.ts';
import type { Json } from '../../src/core/json.ts';
import { gistOf } from '../laws/gist.ts';

export interface AnswerFeature {
  name: string;
  /** What there is of it; undefined for none. Of several choices the first counts, where it is not about them. */
  of(answer: ChatResponse): Json | undefined;
  /** What a client is to find of it, where that is told by other means than to say it; absent: the same. */
  heard?(answer: ChatResponse): Json | undefined;
  /** Members of requests that ask for it: clients without them are not answered so. */
  asked?: 'tools' | 'n' | 'logprobs';
}

const blocksOf = ({ choices }: ChatResponse): Block[] => choices[0]?.blocks ?? [];
const firstOf = (answer: ChatResponse) => gistOf(answer, 1).choices[0];

/** An empty list, text or 0 is nothing. */
const some = <Value extends Json>(value: Value): Value | undefined =>
  value === '' || value === 0 || (Array.isArray(value) && value.length === 0) ? undefined : value;

const textOf = (answer: ChatResponse, type: 'reasoning' | 'refusal'): string =>
  blocksOf(answer)
    .map((block) => (block.type === type ? block.text : ''))
    .join('');

const callsOf = (
  answer: ChatResponse,
  pick: (call: Extract<Block, { type: 'tool-call' }>) => boolean,
): Json[] => {
  const calls = blocksOf(answer).flatMap((block) => (block.type === 'tool-call' ? [block] : []));
  return calls.some(pick) ? (firstOf(answer)?.calls ?? []).map(({ name, input }) => [name, input]) : [];
};

export const answerFeatures: readonly AnswerFeature[] = [
  {
    name: 'text',
    of: (answer) => some(textOf(answer, 'refusal') === '' ? (firstOf(answer)?.text ?? '') : ''),
  },
  {
    name: 'refusals',
    of: (answer) => some(textOf(answer, 'refusal')),
    // Some tell the words from others only by why the answer ended.
    heard: (answer) => [firstOf(answer)?.text ?? '', firstOf(answer)?.stop ?? ''],
  },
  { name: 'tool calls', asked: 'tools', of: (answer) => some(callsOf(answer, ({ custom }) => !custom)) },
  {
    name: 'parallel calls',
    asked: 'tools',
    of: (answer) => {
      const calls = callsOf(answer, ({ custom }) => !custom);
      return calls.length > 1 ? calls : undefined;
    },
  },
  {
    name: 'calls without arguments',
    asked: 'tools',
    of: (answer) => some(callsOf(answer, ({ input }) => input === '{}')),
  },
  {
    name: 'free-form calls',
    asked: 'tools',
    of: (answer) => some(callsOf(answer, ({ custom }) => custom === true)),
    heard: (answer) => callsOf(answer, () => true),
  },
  { name: 'images', of: (answer) => some(blocksOf(answer).filter(({ type }) => type === 'media').length) },
  { name: 'thoughts', of: (answer) => some(textOf(answer, 'reasoning')) },
  {
    name: 'citations of the web',
    of: (answer) =>
      some(
        blocksOf(answer).flatMap((block) =>
          block.type === 'text' ? (block.citations ?? []).flatMap(({ url }) => url ?? []) : [],
        ),
      ),
  },
  {
    name: 'citations of documents',
    of: (answer) =>
      some(
        blocksOf(answer).flatMap((block) =>
          block.type === 'text' ? (block.citations ?? []).filter(({ url }) => url === undefined) : [],
        ).length,
      ),
  },
  { name: 'several answers', asked: 'n', of: ({ choices }) => some(choices.length > 1 ? choices.length : 0) },
  {
    name: 'log-probabilities',
    asked: 'logprobs',
    of: ({ choices }) => {
      const { content } = (choices[0]?.logprobs ?? {}) as { content?: { token: string; logprob: number }[] };
      return content?.map(({ token, logprob }) => [token, logprob]);
    },
  },
  {
    name: 'why it ended',
    of: ({ choices }) => some(choices[0]?.stop ?? ''),
    heard: (answer) => firstOf(answer)?.stop,
  },
  { name: 'which stop sequence', of: ({ choices }) => choices[0]?.stopSequence },
  { name: 'usage: input, output', of: ({ usage }) => usage && [usage.input, usage.output] },
  { name: 'usage: read from a cache', of: ({ usage }) => some(usage?.cacheRead ?? 0) },
  {
    name: 'usage: written to a cache',
    of: ({ usage }) => some((usage?.cacheWrite5m ?? 0) + (usage?.cacheWrite1h ?? 0)),
  },
  { name: 'usage: reasoning', of: ({ usage }) => some(usage?.reasoning ?? 0) },
  { name: 'usage: audio', of: ({ usage }) => some((usage?.audioInput ?? 0) + (usage?.audioOutput ?? 0)) },
];
