/**
 * Whole answers of OpenAI Responses, read into the hub and written from it.
 * https://platform.openai.com/docs/api-reference/responses/object
 */
import type { ChatResponse, Choice, StopReason } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type Json, type JsonObject, rest } from '../../core/json.ts';
import type { AnswerWish } from '../dialect.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { dialectName } from './content.ts';
import { readItem, takeLogprobs } from './item.ts';
import { OutputWriter } from './output.ts';
import { finalResponse } from './shell.ts';
import { readAnswerUsage, readUsageExtra } from './usage.ts';

/** Tells of a streamed answer, too, that it is of this dialect: its id and the members of its items are its own. */
export const ownMark: JsonObject = { object: 'response' };

const known = new Set(['id', 'object', 'created_at', 'status', 'error', 'model', 'output', 'usage']);

/** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds. */
export function readResponse(body: JsonObject): ChatResponse {
  const failure = readFailure(body);
  if (failure !== undefined) throw failure;
  if (!Array.isArray(body.output)) {
    throw new GatewayError(
      'upstream_invalid',
      'The provider answered with something that is not a response.',
    );
  }
  const blocks = body.output.flatMap((item) => (isObject(item) ? readItem(item) : []));
  const logprobs = blocks.flatMap(takeLogprobs);
  const called = blocks.some(({ type }) => type === 'tool-call');
  const choice: Choice = { index: 0, blocks, stop: readStop(body, called) };
  if (logprobs.length > 0) choice.logprobs = { content: logprobs, refusal: null };
  choice.extra = readAnswerExtra(body);
  const response: ChatResponse = {
    dialect: dialectName,
    id: textOf(body.id),
    model: textOf(body.model),
    choices: [choice],
  };
  if (typeof body.created_at === 'number') response.created = body.created_at;
  const usage = readAnswerUsage(body);
  if (usage !== undefined) response.usage = usage;
  response.extra = ownMark;
  return response;
}

export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Why an answer is none: an error in its place, or a response that failed. */
export function readFailure(body: JsonObject): GatewayError | undefined {
  if (body.error !== undefined && body.error !== null) return classifyErrorPayload(body);
  if (body.status !== 'failed' && body.status !== 'cancelled') return undefined;
  return new GatewayError(
    'upstream_unavailable',
    `The provider says that the answer has ${body.status}, and not why.`,
  );
}

/** Being complete says nothing of tools: a call among the items does. */
export function readStop({ status, incomplete_details: details }: JsonObject, called: boolean): StopReason {
  if (status === 'incomplete') {
    return isObject(details) && details.reason === 'content_filter' ? 'content_filter' : 'length';
  }
  // A response that goes on in the background.
  if (status === 'queued' || status === 'in_progress') return 'pause';
  return called ? 'tool_calls' : 'stop';
}

/** What only this dialect knows about an answer as a whole: the request it repeats, and what usage says beside counts. */
export function readAnswerExtra(body: JsonObject): JsonObject {
  const response: JsonObject = { ...rest(body, known) };
  if (body.status === 'queued' || body.status === 'in_progress') response.status = body.status;
  const usage = readUsageExtra(body.usage);
  return usage === undefined ? { response } : { response, usage };
}

// Writing

/** Writes an answer read from any dialect. It has one choice: there is no word for more. */
export function writeResponse(response: ChatResponse, wish?: AnswerWish): JsonObject {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0];
  const own = response.dialect === dialectName;
  const id = wish?.id ?? writeId(response.id, own);
  const output = new OutputWriter(id);
  output.addLogprobs(choice?.logprobs);
  choice?.blocks.forEach((block, number) => {
    output.open(number, block);
    output.close(number);
  });
  const shell = { id, model: response.model, created: response.created ?? Math.floor(Date.now() / 1000) };
  const { items, reason } = output.finish(choice?.stop ?? 'stop');
  return finalResponse(shell, wish, { items, reason, usage: response.usage, extra: choice?.extra });
}

/** Ids of other dialects keep their own part, so that an answer can be found at its provider. */
export function writeId(id: string, own: boolean): string {
  if (id === '') return randomId('resp_');
  return own || id.startsWith('resp_') ? id : `resp_${id}`;
}
