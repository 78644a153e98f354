/** Writes a completions request for a provider, and says what must change in one that is relayed. */
import type { ChatRequest, Message } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Member } from '../../wire/splice.ts';
import type { RelayPlan } from '../dialect.ts';
import { planRelay as planChatRelay } from '../openai-chat/plan-relay.ts';
import { applyQuirks, writeStream } from '../openai-chat/write-request.ts';
import type { Quirks } from '../quirks.ts';

export const dialectName = 'openai-completions';

/** Hosts write no more than 16 tokens unless told; whoever asks in another dialect does not expect that. */
const usualMaxTokens = 3000;

/**
 * @param lost gets the paths of hints that are left out.
 * @throws GatewayError `unsupported` for a conversation: there is only one text here, to be gone on with.
 */
export function writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject {
  const own = request.dialect === dialectName;
  const body: JsonObject = { model: request.model, prompt: own ? ownPrompt(request) : writePrompt(request) };
  const maxTokens = request.maxTokens ?? (own ? undefined : usualMaxTokens);
  if (maxTokens !== undefined) body.max_tokens = maxTokens;
  if (request.temperature !== undefined) body.temperature = request.temperature;
  if (request.topP !== undefined) body.top_p = request.topP;
  if (own && request.topK !== undefined) body.top_k = request.topK;
  if (request.stop !== undefined) body.stop = request.stop;
  if (request.seed !== undefined) body.seed = request.seed;
  if (request.presencePenalty !== undefined) body.presence_penalty = request.presencePenalty;
  if (request.frequencyPenalty !== undefined) body.frequency_penalty = request.frequencyPenalty;
  if (request.logitBias !== undefined) body.logit_bias = request.logitBias;
  if (request.n !== undefined) body.n = request.n;
  if (request.logprobs !== undefined) body.logprobs = request.logprobs;
  if (request.user !== undefined) body.user = request.user;
  if (own) Object.assign(body, request.extra);
  writeStream(request, quirks, own, body);
  applyQuirks(body, quirks, lost);
  return body;
}

/** Overwritten by the prompt in `extra`, where it was more than one text. */
function ownPrompt({ messages }: ChatRequest): string {
  const block = messages[0]?.blocks[0];
  return block?.type === 'text' ? block.text : '';
}

/** Instructions and one user turn, as one text. */
function writePrompt({ messages }: ChatRequest): string {
  const last = messages.length - 1;
  return messages
    .map((message, i) => {
      const path = `messages[${i}]`;
      if (message.role !== (i === last ? 'user' : 'system')) {
        throw cannotSay(`${path}.role`, `a conversation (${path} is of the role "${message.role}")`);
      }
      return textOf(message, path);
    })
    .join('\n\n');
}

function textOf({ blocks }: Message, path: string): string {
  return blocks
    .map((block, i) => {
      if (block.type === 'text') return block.text;
      throw cannotSay(`${path}.content[${i}]`, `a ${block.type} block (${path}.content[${i}])`);
    })
    .join('\n');
}

function cannotSay(param: string, what: string): GatewayError {
  return new GatewayError(
    'unsupported',
    `The model behind this route goes on with one text, and has no way to take ${what}. Route the call to a chat model.`,
    { param },
  );
}

/** The members it shares with Chat Completions have the same quirks; the output limit has one name only. */
export function planRelay(
  body: Uint8Array,
  members: readonly Member[],
  stream: boolean,
  quirks: Quirks,
): RelayPlan | undefined {
  return planChatRelay(
    body,
    members,
    stream,
    quirks.limitMember === undefined ? quirks : { ...quirks, limitMember: undefined },
  );
}
