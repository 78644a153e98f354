/** Whole answers of Ollama: https://docs.ollama.com/api/chat */
import type { Block, ChatResponse, Choice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { readCreated, readExtra, readLogprobs, readStop, readUsage } from './answer.ts';
import { dialectName, identify, readCall, readImages } from './message.ts';

/** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds. */
export function readResponse(body: JsonObject): ChatResponse {
  if ((body.error ?? null) !== null) throw classifyErrorPayload(body);
  const { message } = body;
  if (!isObject(message)) {
    throw new GatewayError(
      'upstream_invalid',
      'The provider answered with something that is not a chat answer.',
    );
  }
  if (body.done === false) {
    throw new GatewayError('upstream_invalid', 'The provider sent a part of its answer only.');
  }
  const response: ChatResponse = {
    dialect: dialectName,
    // The wire has none.
    id: '',
    model: typeof body.model === 'string' ? body.model : '',
    choices: [readChoice(message, body)],
  };
  const created = readCreated(body.created_at);
  if (created !== undefined) response.created = created;
  const usage = readUsage(body);
  if (usage !== undefined) response.usage = usage;
  return response;
}

function readChoice(message: JsonObject, body: JsonObject): Choice {
  const { thinking, content, images } = message;
  const blocks: Block[] = [];
  if (typeof thinking === 'string' && thinking !== '') blocks.push({ type: 'reasoning', text: thinking });
  if (typeof content === 'string' && content !== '') blocks.push({ type: 'text', text: content });
  blocks.push(...readImages(images));
  let calls = 0;
  for (const value of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
    const call = readCall(value);
    if (call !== undefined) blocks.push(identify(call, calls++, body.created_at));
  }
  const choice: Choice = { index: 0, blocks, stop: readStop(body.done_reason, calls > 0) };
  const logprobs = readLogprobs(body.logprobs);
  if (logprobs !== undefined) choice.logprobs = logprobs;
  const extra = readExtra(body);
  if (extra !== undefined) choice.extra = extra;
  return choice;
}
