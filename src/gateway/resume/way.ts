/** How a target is asked to go on with an answer that broke off at another. */
import type { Endpoint, Target } from '../../config/snapshot.ts';
import type { ChatRequest, Message } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { prefillOf } from '../../dialects/prefill.ts';
import { instruct } from '../by-instruction.ts';
import type { Change } from '../render.ts';
import { anchorOf, type Repeats } from './seam.ts';
import type { Shown } from './shown.ts';

/**
 * `anew`: nothing was said, so that the request is made again · `turn`: the model goes on with a turn that is begun for
 * it · `text`: likewise, with the one text that is all of the request · `instruction`: it is told in words.
 */
export interface Way {
  how: 'anew' | 'turn' | 'text' | 'instruction';
  /** What the continuation may repeat of what was shown. */
  repeats: Repeats;
}

/** @throws GatewayError `unsupported` where the target could not go on with what was shown. */
export function wayOn(shown: Shown, asked: ChatRequest, { quirks }: Target, { dialect }: Endpoint): Way {
  if (shown.isBlank) return { how: 'anew', repeats: 'nothing' };
  const prefill = shown.calls.length > 0 ? undefined : prefillOf(dialect, quirks, asked);
  // Some hosts give back what they were given.
  if (prefill !== undefined)
    return { how: prefill, repeats: quirks.continues === 'prefix' ? 'all' : 'nothing' };
  if (shown.text.trim() !== '' && (asked.format !== undefined || /^\s*[{[]/.test(shown.text))) {
    throw new GatewayError(
      'unsupported',
      'Only a model that goes on with its own words can go on with JSON.',
    );
  }
  return { how: 'instruction', repeats: 'anchor' };
}

/** Hosts refuse smaller limits. */
const leastTokens = 16;

/**
 * The request for whoever goes on.
 * @param written tokens that have been shown, which no longer count.
 */
export function askToGoOn(shown: Shown, written: number): Change {
  return (asked, target, endpoint) => {
    const { n: _, ...request } = asked;
    const { how } = wayOn(shown, asked, target, endpoint);
    if (how === 'anew') return request;
    if (request.maxTokens !== undefined)
      request.maxTokens = Math.max(leastTokens, request.maxTokens - written);
    // Nobody has to call what has been called.
    if (shown.calls.length > 0 && request.toolChoice !== undefined && request.toolChoice.type !== 'none')
      request.toolChoice = { type: 'auto' };
    if (how === 'instruction') return { ...request, messages: [...asked.messages, ...instructionFor(shown)] };
    const spoken = inWords(request, endpoint, target);
    // Its thoughts are before what it says: it has begun to say it.
    delete spoken.reasoning;
    return how === 'text' ? withText(spoken, shown) : withTurn(spoken, shown);
  };
}

/** A form that is enforced holds for what a model says, not for what it goes on with. */
function inWords(request: ChatRequest, { dialect: { can } }: Endpoint, { quirks }: Target): ChatRequest {
  const params = new Set(can.params);
  params.delete('format');
  return { ...(instruct(request, { ...can, params }, quirks)?.request ?? request) };
}

function withTurn(request: ChatRequest, shown: Shown): ChatRequest {
  return { ...request, messages: [...request.messages, { ...saidSoFar(shown), unfinished: true }] };
}

function withText(request: ChatRequest, shown: Shown): ChatRequest {
  const prompt = request.messages[0]?.blocks[0];
  const text = `${prompt?.type === 'text' ? prompt.text : ''}${shown.text.trimEnd()}`;
  return { ...request, messages: [{ role: 'user', blocks: [{ type: 'text', text }] }] };
}

/** Hosts refuse a last turn that ends in white space. */
function saidSoFar({ text }: Shown): Message {
  return { role: 'assistant', blocks: [{ type: 'text', text: text.trimEnd() }] };
}

function instructionFor(shown: Shown): Message[] {
  const words = [
    'Your answer was cut off by a technical fault. The user has seen all of it up to there, and is waiting for the rest.',
  ];
  const { calls } = shown;
  if (calls.length > 0) {
    words.push(
      'You have made these tool calls, which stand; do not make them again:',
      ...calls.map(({ name, input }) => `- ${name} ${input}`),
      'Make the calls that are still missing. If there are none, end your answer without another word.',
    );
  } else {
    words.push(
      'Go on from exactly where it stops, in the same language, form and voice: no greeting, no apology, no remark on the interruption.',
      `Begin with its last words, repeated to the letter, and go on right behind them. They are: <last-words>${anchorOf(shown.text)}</last-words>`,
      'Do not write the tags. If nothing is missing, end after these words.',
    );
  }
  const asked: Message = { role: 'user', blocks: [{ type: 'text', text: words.join('\n') }] };
  return shown.text.trim() === '' ? [asked] : [saidSoFar(shown), asked];
}
