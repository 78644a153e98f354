/** Amazon's own client as a witness: it knows every member that is written here, and reads answers the same way. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  type ConverseStreamOutput,
} from '@aws-sdk/client-bedrock-runtime';
import type { ChatEvent } from '../../src/core/chat.ts';
import { GatewayError } from '../../src/core/error.ts';
import { fold } from '../../src/core/fold.ts';
import { isObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { foreign, requireMeaning } from '../../src/core/loss.ts';
import { bedrockConverse as dialect } from '../../src/dialects/bedrock-converse.ts';
import { clientDialects } from '../../src/dialects/index.ts';
import { encodeEvent } from '../../src/wire/event-stream.ts';

const fixtures = join(import.meta.dir, '../../fixtures');
const casesOf = (name: string, file: string): [string, string][] =>
  readdirSync(join(fixtures, name))
    .filter((each) => existsSync(join(fixtures, name, each, file)))
    .map((each) => [each, readFileSync(join(fixtures, name, each, file), 'utf8')]);

const model = 'us.anthropic.claude-haiku-4-5-v1:0';

interface Exchange {
  client: BedrockRuntimeClient;
  sent: { path: string; body: Json } | undefined;
}

/** A client whose requests go nowhere, and are answered with these bytes. */
function exchange(answer: Uint8Array, type: string): Exchange {
  const seen: Exchange = {
    sent: undefined,
    client: new BedrockRuntimeClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
      maxAttempts: 1,
      requestHandler: {
        handle: async ({ path, body }: { path: string; body?: Uint8Array }) => {
          seen.sent = { path, body: JSON.parse(new TextDecoder().decode(body)) };
          const headers = { 'content-type': type };
          return { response: { statusCode: 200, headers, body: Readable.from([answer]) } };
        },
      } as never,
    }),
  };
  return seen;
}

/** The wire has bytes in base64; the client takes them as they are. */
function withBytes(value: Json | undefined): unknown {
  if (Array.isArray(value)) return value.map(withBytes);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const binary = (name === 'bytes' || name === 'redactedContent') && typeof member === 'string';
    copy[name] = binary ? new Uint8Array(Buffer.from(member, 'base64')) : withBytes(member);
  }
  return copy;
}

/** What the client puts on the wire for `body`; it leaves out members it does not know. */
async function sentBy(body: JsonObject): Promise<Json | undefined> {
  const seen = exchange(Buffer.from('{"output":{}}'), 'application/json');
  await seen.client.send(
    new ConverseCommand({ modelId: model, ...(withBytes(body) as object) } as ConverseCommandInput),
  );
  expect(seen.sent?.path).toBe(dialect.path(model, false));
  return seen.sent?.body;
}

describe('the official client knows all of', () => {
  test.each(casesOf(dialect.name, 'request.json'))('a request of its own: %s', async (_name, text) => {
    const body: JsonObject = JSON.parse(text);
    expect(await sentBy(dialect.writeRequest(dialect.readRequest(body), {}, []))).toEqual(body);
  });

  for (const from of clientDialects.filter(({ name }) => existsSync(join(fixtures, name)))) {
    test.each(casesOf(from.name, 'request.json'))(`a request in ${from.name}: %s`, async (_name, text) => {
      let written: JsonObject;
      try {
        const request = { ...from.readRequest(JSON.parse(text)), model };
        requireMeaning(foreign(request, dialect.name, dialect.can, from.can), dialect.name);
        written = dialect.writeRequest(request, {}, []);
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError);
        return;
      }
      expect(await sentBy(written)).toEqual(written);
    });
  }
});

describe('the official client reads the same from', () => {
  const quirks = {};

  test.each(casesOf(dialect.name, 'response.json'))('a whole answer: %s', async (_name, text) => {
    const { client } = exchange(Buffer.from(text), 'application/json');
    const answer = await client.send(new ConverseCommand({ modelId: model, messages: [] }));
    const said = answer.output?.message?.content?.flatMap(
      (block) => block.text ?? block.citationsContent?.content?.map((part) => part.text) ?? [],
    );
    const { choices, usage } = dialect.readResponse(JSON.parse(text), quirks);
    expect(choices[0]?.blocks.flatMap((block) => (block.type === 'text' ? [block.text] : []))).toEqual(
      (said ?? []).flat() as string[],
    );
    const read = (answer.usage?.cacheReadInputTokens ?? 0) + (answer.usage?.cacheWriteInputTokens ?? 0);
    expect(usage?.input).toBe((answer.usage?.inputTokens ?? 0) + read);
    expect(usage?.output).toBe(answer.usage?.outputTokens);
  });

  test.each(casesOf(dialect.name, 'stream.events.jsonl'))('a stream: %s', async (_name, text) => {
    const frames = text
      .trim()
      .split('\n')
      .map((line): { name: string; data: Json } => JSON.parse(line));
    const events: ChatEvent[] = [];
    const reader = dialect.readStream((event) => events.push(event), quirks);
    for (const { name, data } of frames) reader.push(name, JSON.stringify(data));
    reader.end();

    const bytes = Buffer.concat(
      frames.map(({ name, data }) => encodeEvent(headersOf(name), JSON.stringify(data))),
    );
    const seen = exchange(bytes, 'application/vnd.amazon.eventstream');
    const pieces: ConverseStreamOutput[] = [];
    let failure = '';
    try {
      const { stream } = await seen.client.send(new ConverseStreamCommand({ modelId: model, messages: [] }));
      for await (const piece of stream ?? []) pieces.push(piece);
    } catch (error) {
      failure = (error as Error).name;
    }
    expect(seen.sent?.path).toBe(dialect.path(model, true));
    const last = events.at(-1);
    if (last?.type === 'error' && last.error.kind !== 'upstream_invalid') {
      expect(failure.toLowerCase()).toBe(String(last.error.detail.code).toLowerCase());
      return;
    }
    expect(failure).toBe('');
    if (last?.type === 'error') return;
    const { choices, usage } = fold(events, dialect.name);
    const written = pieces.map(({ contentBlockDelta: piece }) => piece?.delta?.text ?? '').join('');
    const said = choices[0]?.blocks.map((block) => (block.type === 'text' ? block.text : '')).join('');
    expect(said).toBe(written);
    expect(usage?.output).toBe(pieces.find(({ metadata }) => metadata)?.metadata?.usage?.outputTokens);
  });
});

function headersOf(name: string): Record<string, string> {
  const type = name.replace('exception:', '');
  const kind = type === name ? 'event' : 'exception';
  return { [`:${kind}-type`]: type, ':message-type': kind, ':content-type': 'application/json' };
}
