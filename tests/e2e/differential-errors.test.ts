/** Recorded refusals of every provider, replayed behind the gateway: every client throws what it throws for its own vendor's. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import { ApiError } from '@google/genai';
import { APICallError } from 'ai';
import OpenAI from 'openai';
import type { Client } from '../conformance/client.ts';
import { retryAfterOf, statusOf, wordsOf } from '../conformance/refusals.ts';
import {
  clientNames,
  failsWithin,
  type Replayed,
  raiseStage,
  replayed,
  type Stage,
} from '../conformance/replayed.ts';
import { haveRecordings } from '../recordings.ts';
import { forced, key } from './gateway.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await raiseStage(key);
});
afterAll(() => stage.stop());

const refusals = replayed.filter((each) => each.recording.response.status >= 400 || failsWithin(each));
const named = refusals.map((each) => [each.file, each] as const);

/** What a client throws for a status, by the members that all of them have in some form. */
interface Thrown {
  status: number | undefined;
  words: string;
  retryAfter: string | null | undefined;
}

const classes = (
  sdk: typeof OpenAI | typeof Anthropic,
): Readonly<Record<number, new (...args: never[]) => Error>> => ({
  400: sdk.BadRequestError,
  404: sdk.NotFoundError,
  429: sdk.RateLimitError,
  502: sdk.InternalServerError,
});

function look(error: unknown): Thrown {
  if (error instanceof OpenAI.APIError || error instanceof Anthropic.APIError) {
    const sdk = error instanceof OpenAI.APIError ? OpenAI : Anthropic;
    expect(error).toBeInstanceOf(classes(sdk)[error.status ?? 0]!);
    expect(error.headers?.get('x-request-id')).toBeString();
    const inner = (error.error as { error?: { message?: string } } | undefined)?.error?.message;
    return {
      status: error.status,
      words: inner ?? error.message,
      retryAfter: error.headers?.get('retry-after'),
    };
  }
  if (error instanceof ApiError) {
    const { error: body } = JSON.parse(error.message) as {
      error: { code: number; status: string; message: string; details?: { retryDelay?: string }[] };
    };
    expect(body.status).toMatch(/^[A-Z_]+$/);
    const retry = body.details?.find(({ retryDelay }) => retryDelay !== undefined)?.retryDelay;
    return { status: error.status, words: body.message, retryAfter: retry?.replace('s', '') };
  }
  if (!APICallError.isInstance(error)) throw error;
  return {
    status: error.statusCode,
    words: error.message,
    retryAfter: error.responseHeaders?.['retry-after'],
  };
}

/** Cut in the middle of a word or before a line break, so that no escape stands in it. */
const beginningOf = (words: string): string => /^[^"\\\n]{1,60}/.exec(words)?.[0] ?? '';

describe.skipIf(!haveRecordings).each(clientNames)('recorded refusals reach %s', (name) => {
  const clientOf = (): Client => stage.clients.find((client) => client.name === name)!;
  const fail = async (each: Replayed, stream: boolean): Promise<Thrown> => {
    const client = clientOf();
    const thrown: unknown = await client.ask({ model: each.model, stream, tools: [] }).then(
      (heard) => new Error(`it was answered: ${JSON.stringify(heard)}`),
      (error) => error,
    );
    expect(thrown).toBeInstanceOf(client.error);
    return look(thrown);
  };

  test.each(named)('as what they are: %s', async (_, each) => {
    const { status, words, retryAfter } = await fail(each, each.streamed);
    expect(status).toBe(statusOf(each, forced || clientOf().dialect !== each.dialect));
    expect(words.length).toBeGreaterThan(10);
    const said = wordsOf(each);
    if (said.length > 0) expect(said.filter((text) => words.includes(beginningOf(text)))).not.toBeEmpty();
    const after = retryAfterOf(each);
    if (after !== undefined) expect(Math.ceil(Number(retryAfter))).toBe(after);
  });

  test.each(named.filter(([, each]) => !each.streamed))(
    'also where a stream was asked for: %s',
    async (_, each) => {
      const whole = await fail(each, false);
      const streamed = await fail(each, true);
      expect([streamed.status, streamed.words]).toEqual([whole.status, whole.words]);
    },
  );
});
