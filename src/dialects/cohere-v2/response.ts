/** Whole answers of Cohere Chat: https://docs.cohere.com/reference/chat#response */
import type { Block, ChatResponse, Choice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { others } from '../openai-chat/content.ts';
import { readToolCall } from '../openai-chat/read-request.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { failureOf, isAboutText, readCitations, readLogprobs, readStop } from './answer.ts';
import { dialectName, planBlock, readPart } from './content.ts';
import { readUsage } from './usage.ts';

const answerMembers = new Set(['id', 'finish_reason', 'message', 'usage', 'logprobs']);
const messageMembers = new Set(['role', 'content', 'tool_plan', 'tool_calls', 'citations']);

/** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds. */
export function readResponse(body: JsonObject): ChatResponse {
  const { message } = body;
  if ((body.error ?? null) !== null || typeof message === 'string') throw classifyErrorPayload(body);
  if (!isObject(message)) {
    throw new GatewayError(
      'upstream_invalid',
      'The provider answered with something that is not a chat answer.',
    );
  }
  const failure = failureOf(body.finish_reason, undefined);
  if (failure !== undefined) throw failure;
  const response: ChatResponse = {
    dialect: dialectName,
    id: typeof body.id === 'string' ? body.id : '',
    // The wire does not name it.
    model: '',
    choices: [readChoice(message, body)],
  };
  const usage = readUsage(body.usage);
  if (usage !== undefined) response.usage = usage;
  const extra = others(body, answerMembers);
  if (extra !== undefined) response.extra = extra;
  return response;
}

function readChoice(message: JsonObject, { finish_reason: reason, logprobs }: JsonObject): Choice {
  const parts = readParts(message.content);
  const unplaced = cite(parts, message.citations);
  const blocks = parts.filter((block) => block !== undefined && !isSilent(block)) as Block[];
  if (typeof message.tool_plan === 'string' && message.tool_plan !== '') {
    blocks.push(planBlock(message.tool_plan));
  }
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  for (const value of calls) {
    const call = readToolCall(value);
    if (call === undefined) continue;
    if (call.id === '') call.id = randomId('call_');
    blocks.push(call);
  }
  const called = blocks.some(({ type }) => type === 'tool-call');
  const choice: Choice = { index: 0, blocks, stop: readStop(reason, called) };
  const told = readLogprobs(logprobs);
  if (told !== undefined) choice.logprobs = told;
  const inside = others(message, messageMembers);
  if (inside !== undefined || unplaced.length > 0) {
    choice.extra = {
      ...(unplaced.length > 0 && { citations: unplaced }),
      ...(inside && { message: inside }),
    };
  }
  return choice;
}

/** In their places, for citations count them; undefined for what is none. */
function readParts(content: Json | undefined): (Block | undefined)[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? content.map(readPart) : [];
}

function isSilent(block: Block): boolean {
  return (block.type === 'text' || block.type === 'reasoning') && block.text === '';
}

/** Gives each text its citations. @returns those of thoughts and plans, which the hub has no place for. */
function cite(parts: (Block | undefined)[], citations: Json | undefined): JsonObject[] {
  const unplaced: JsonObject[] = [];
  for (const value of Array.isArray(citations) ? citations.filter(isObject) : []) {
    const block = parts.find((part, i) => part?.type === 'text' && isAboutText(value, i));
    if (block?.type !== 'text') unplaced.push(value);
    else block.citations = [...(block.citations ?? []), ...readCitations(value, block.text)];
  }
  return unplaced;
}
