/** Whole answers of Bedrock Converse, read into the hub. */
import type { Block, ChatResponse, Choice } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type JsonObject, rest } from '../../core/json.ts';
import { isJsonTool } from '../offered-tools.ts';
import type { Quirks } from '../quirks.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import { dialectName, readContent } from './block.ts';
import { readStop, readStopSequence } from './stop.ts';
import { readUsage } from './usage.ts';

const known = new Set(['output', 'stopReason', 'usage', 'additionalModelResponseFields']);

/**
 * Neither id nor model: both stand elsewhere.
 * @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds.
 */
export function readResponse(body: JsonObject, quirks: Quirks): ChatResponse {
  const message = isObject(body.output) ? body.output.message : undefined;
  if (!isObject(message)) {
    if (typeof body.message === 'string') throw classifyErrorPayload(body);
    return fail('output', 'holds no message');
  }
  const blocks = readContent(message.content, 'output.message.content', fail).map((block) =>
    readAnswerBlock(block, quirks),
  );
  const stop = readStop(body.stopReason, blocks.some(isCall));
  const choice: Choice = { index: 0, blocks, stop };
  const stopSequence = readStopSequence(body.additionalModelResponseFields);
  if (stopSequence !== undefined) choice.stopSequence = stopSequence;
  const extra = rest(body, known);
  if (extra !== undefined) choice.extra = extra;
  const usage = readUsage(body.usage);
  return {
    dialect: dialectName,
    id: '',
    model: '',
    choices: [choice],
    ...(usage !== undefined && { usage }),
  };
}

function fail(path: string, what: string): never {
  throw new GatewayError('upstream_invalid', `The provider's answer is not understood: its ${path} ${what}.`);
}

function isCall({ type }: Block): boolean {
  return type === 'tool-call';
}

function readAnswerBlock(block: Block, quirks: Quirks): Block {
  if (block.type === 'tool-call' && isJsonTool(block, quirks)) return { type: 'text', text: block.input };
  // Streams do not tell beforehand whether a signature will come: the vendor is named either way.
  if (block.type === 'reasoning') block.vendor = dialectName;
  return block;
}
