/** Folds a stream of events into the answer it spells: a streamed answer equals the whole one. */
import type { Block, ChatEvent, ChatResponse, Choice, DialectName } from './chat.ts';
import { GatewayError } from './error.ts';
import type { Json } from './json.ts';

/**
 * @throws GatewayError the stream's own error, or `upstream_invalid` when it ended without `end`.
 */
export function fold(events: Iterable<ChatEvent>, dialect: DialectName): ChatResponse {
  const answer: ChatResponse = { dialect, id: '', model: '', choices: [] };
  const choices = new Map<number, Choice>();
  const open = new Map<string, Block>();
  let ended = false;

  const choiceAt = (index: number): Choice => {
    let choice = choices.get(index);
    if (choice === undefined) {
      choice = { index, blocks: [], stop: 'stop' };
      choices.set(index, choice);
    }
    return choice;
  };

  for (const event of events) {
    switch (event.type) {
      case 'start':
        answer.id = event.id;
        answer.model = event.model;
        if (event.created !== undefined) answer.created = event.created;
        if (event.usage !== undefined) answer.usage = event.usage;
        if (event.extra !== undefined) answer.extra = event.extra;
        break;
      case 'block': {
        const block = structuredClone(event.value);
        choiceAt(event.choice).blocks.push(block);
        open.set(`${event.choice}:${event.block}`, block);
        break;
      }
      case 'delta':
        if (event.logprobs !== undefined) addLogprobs(choiceAt(event.choice), event.logprobs);
        addDelta(open.get(`${event.choice}:${event.block}`), event);
        break;
      case 'close': {
        const block = open.get(`${event.choice}:${event.block}`);
        if (block?.type === 'tool-call' && block.input === '') block.input = '{}';
        if (block !== undefined && block.type !== 'opaque' && event.extra !== undefined)
          block.extra = event.extra;
        break;
      }
      case 'finish': {
        const choice = choiceAt(event.choice);
        choice.stop = event.stop;
        if (event.stopSequence !== undefined) choice.stopSequence = event.stopSequence;
        if (event.extra !== undefined) choice.extra = event.extra;
        break;
      }
      case 'usage':
        answer.usage = event.usage;
        break;
      case 'end':
        ended = true;
        break;
      case 'error':
        throw event.error;
    }
  }
  if (!ended)
    throw new GatewayError(
      'upstream_invalid',
      'The provider ended its stream before the answer was complete.',
    );
  answer.choices = [...choices.values()].sort((a, b) => a.index - b.index);
  return answer;
}

function addDelta(block: Block | undefined, delta: Extract<ChatEvent, { type: 'delta' }>): void {
  if (block === undefined) return;
  if (
    delta.text !== undefined &&
    (block.type === 'text' || block.type === 'reasoning' || block.type === 'refusal')
  ) {
    block.text += delta.text;
  }
  if (delta.input !== undefined && block.type === 'tool-call') block.input += delta.input;
  if (delta.signature !== undefined && block.type === 'reasoning') {
    block.signature = (block.signature ?? '') + delta.signature;
  }
  if (delta.redacted !== undefined && block.type === 'reasoning') block.redacted = delta.redacted;
  if (delta.state !== undefined && (block.type === 'text' || block.type === 'tool-call')) {
    block.state = delta.state;
  }
  if (delta.citation !== undefined && block.type === 'text') {
    block.citations ??= [];
    block.citations.push(delta.citation);
  }
}

/** Log-probabilities come in pieces whose lists are joined member by member. */
function addLogprobs(choice: Choice, piece: Json): void {
  if (typeof piece !== 'object' || piece === null || Array.isArray(piece)) return;
  const sum = (choice.logprobs ?? {}) as Record<string, Json>;
  for (const [name, value] of Object.entries(piece)) {
    const before = sum[name];
    sum[name] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : (value ?? null);
  }
  choice.logprobs = sum;
}
