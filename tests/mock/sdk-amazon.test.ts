/** Amazon's client understands the mock over a real socket: Converse, and Claude invoked. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  BedrockRuntimeClient,
  type ContentBlock,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { called, failureOf, said, schema, thought } from './said.ts';

let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider({ key: 'sk-mock' });
});
afterAll(() => fake.stop());

describe('Amazon Bedrock', () => {
  // The client speaks HTTP/2 where it can choose, which the mock does not: its handler is replaced by fetch.
  type Sent = {
    method: string;
    protocol: string;
    hostname: string;
    port: number;
    path: string;
    headers: Record<string, string>;
    body?: string;
  };
  const handle = async ({ method, protocol, hostname, port, path, headers, body }: Sent) => {
    const answer = await fetch(`${protocol}//${hostname}:${port}${path}`, { method, headers, body });
    const { status: statusCode, statusText: reason, body: read } = answer;
    return { response: { statusCode, reason, headers: Object.fromEntries(answer.headers), body: read } };
  };
  const client = (): BedrockRuntimeClient =>
    new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: fake.url,
      credentials: { accessKeyId: 'sk-mock', secretAccessKey: 'secret' },
      requestHandler: { handle } as never,
      maxAttempts: 1,
    });
  const hello = [{ role: 'user' as const, content: [{ text: said }] }];
  const toolConfig = { tools: [{ toolSpec: { name: 'weather', inputSchema: { json: schema } } }] };
  const whole = (modelId: string, ask: Partial<ConverseCommandInput> = {}) =>
    client().send(new ConverseCommand({ modelId, messages: hello, ...ask }));
  const streamed = async (modelId: string, ask: Partial<ConverseCommandInput> = {}) => {
    const { stream } = await client().send(new ConverseStreamCommand({ modelId, messages: hello, ...ask }));
    return Array.fromAsync(stream!);
  };

  test('text and usage, cached tokens beside the others', async () => {
    const answer = await whole('usage:input=100,cached=60,written=10,output=9');
    expect(answer.output?.message?.content).toEqual([{ text: said }]);
    const usage = {
      inputTokens: 30,
      outputTokens: 9,
      totalTokens: 109,
      cacheReadInputTokens: 60,
      cacheWriteInputTokens: 10,
    };
    expect([answer.stopReason as string, answer.usage as object]).toEqual([
      'end_turn',
      expect.objectContaining(usage),
    ]);
    const events = await streamed('usage:input=100,cached=60,written=10,output=9');
    expect(events.map(({ contentBlockDelta }) => contentBlockDelta?.delta?.text ?? '').join('')).toBe(said);
    expect(events.at(-1)?.metadata?.usage).toMatchObject(usage);
  });

  test('thinks with a signature, and calls tools whose arguments come in pieces', async () => {
    const answer = await whole('tool:calls=2,think=true', { toolConfig });
    const [reasoning, ...calls] = answer.output?.message?.content ?? [];
    expect(reasoning).toMatchObject({
      reasoningContent: { reasoningText: { text: thought, signature: expect.any(String) } },
    });
    expect(calls.map(({ toolUse }) => toolUse?.input as object)).toEqual([called, called]);
    const events = await streamed('tool:calls=2,think=true', { toolConfig });
    const deltas = events.flatMap(({ contentBlockDelta }) => contentBlockDelta ?? []);
    expect(deltas.map(({ delta }) => delta?.reasoningContent?.text ?? '').join('')).toBe(thought);
    for (const index of [1, 2]) {
      const pieces = deltas.filter(({ contentBlockIndex }) => contentBlockIndex === index);
      expect(JSON.parse(pieces.map(({ delta }) => delta?.toolUse?.input ?? '').join(''))).toEqual(called);
    }
    expect(events.find(({ messageStop }) => messageStop)?.messageStop?.stopReason).toBe('tool_use');
    const content = calls.map(
      ({ toolUse }): ContentBlock => ({
        toolResult: { toolUseId: toolUse?.toolUseId, content: [{ text: 'no network' }], status: 'error' },
      }),
    );
    const messages = [...hello, answer.output!.message!, { role: 'user' as const, content }];
    const done = await whole('tool', { toolConfig, messages });
    expect(done.output?.message?.content).toEqual([{ text: '[error] no network\n[error] no network' }]);
    expect((await failureOf(whole('tool', { messages }))).message).toInclude(
      'toolConfig field must be defined',
    );
  });

  test('fails by name, before and within a stream', async () => {
    expect((await failureOf(whole('status:429'))).name).toBe('ThrottlingException');
    expect((await failureOf(streamed('error-event'))).name).toBe('InternalServerException');
    const twice = [...hello, ...hello];
    expect((await failureOf(whole('echo', { messages: twice }))).message).toInclude(
      'alternate between user and assistant',
    );
  });

  test('Claude is invoked in its own words, inside chunks', async () => {
    const body = JSON.stringify({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 50,
      messages: [{ role: 'user', content: said }],
    });
    const answer = await client().send(new InvokeModelCommand({ modelId: 'echo', body }));
    expect(JSON.parse(answer.body.transformToString())).toMatchObject({
      type: 'message',
      content: [{ text: said }],
    });
    const { body: stream } = await client().send(
      new InvokeModelWithResponseStreamCommand({ modelId: 'echo', body }),
    );
    const events = await Array.fromAsync(stream!, ({ chunk }) =>
      JSON.parse(new TextDecoder().decode(chunk?.bytes)),
    );
    expect(events.map(({ delta }) => delta?.text ?? '').join('')).toBe(said);
    expect([events[0].type, events.at(-1).type]).toEqual(['message_start', 'message_stop']);
    const failed = await client().send(
      new InvokeModelWithResponseStreamCommand({ modelId: 'error-event', body }),
    );
    expect((await failureOf(Array.fromAsync(failed.body!))).name).toBe('InternalServerException');
    const plain = new InvokeModelCommand({ modelId: 'echo', body: body.replace('bedrock-', '') });
    expect((await failureOf(client().send(plain))).name).toBe('ValidationException');
  });
});
