/** Amazon's client as a witness of what a recording says: Converse, and Claude in its own words. */
import Anthropic from '@anthropic-ai/sdk';
import {
  BedrockRuntimeClient,
  type ContentBlock,
  ConverseCommand,
  ConverseStreamCommand,
  type ConverseStreamOutput,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  type TokenUsage,
} from '@aws-sdk/client-bedrock-runtime';
import { messagesClient } from './anthropic-client.ts';
import { type Ask, hello } from './client.ts';
import { choiceOf, type Understood, usageOf } from './understood.ts';

interface Sent {
  method: string;
  protocol: string;
  hostname: string;
  port: number;
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** The client speaks HTTP/2 where it can choose; its handler is replaced by fetch. */
async function handle({ method, protocol, hostname, port, path, headers, body }: Sent) {
  const answer = await fetch(`${protocol}//${hostname}:${port}${path}`, { method, headers, body });
  const { status: statusCode, statusText: reason, body: read } = answer;
  return { response: { statusCode, reason, headers: Object.fromEntries(answer.headers), body: read } };
}

const bedrockAt = (endpoint: string): BedrockRuntimeClient =>
  new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'none', secretAccessKey: 'none' },
    requestHandler: { handle } as never,
    maxAttempts: 1,
  });

export function askConverse(url: string): Ask {
  const client = bedrockAt(url);
  return async ({ model, stream }) => {
    const ask = { modelId: model, messages: [{ role: 'user' as const, content: [{ text: hello }] }] };
    if (!stream) {
      const { output, stopReason, usage } = await client.send(new ConverseCommand(ask));
      return understandConverse(output?.message?.content ?? [], stopReason, usage);
    }
    const answer = await client.send(new ConverseStreamCommand(ask));
    return foldConverse(await Array.fromAsync(answer.stream!));
  };
}

function foldConverse(events: readonly ConverseStreamOutput[]): Understood {
  const blocks: { text: string; thought: string; call?: { name: string; input: string } }[] = [];
  for (const { contentBlockStart, contentBlockDelta } of events) {
    const at = (contentBlockStart ?? contentBlockDelta)?.contentBlockIndex;
    if (at === undefined) continue;
    blocks[at] ??= { text: '', thought: '' };
    const block = blocks[at];
    const started = contentBlockStart?.start?.toolUse;
    if (started !== undefined && started.type !== 'server_tool_use') {
      block.call = { name: started.name ?? '', input: '' };
    }
    block.text += contentBlockDelta?.delta?.text ?? '';
    block.thought += contentBlockDelta?.delta?.reasoningContent?.text ?? '';
    if (block.call !== undefined) block.call.input += contentBlockDelta?.delta?.toolUse?.input ?? '';
  }
  const metadata = events.findLast((event) => event.metadata !== undefined)?.metadata;
  const stop = events.find(({ messageStop }) => messageStop !== undefined)?.messageStop?.stopReason;
  return {
    choices: [
      choiceOf({
        text: blocks.map(({ text }) => text).join(''),
        thought: blocks.map(({ thought }) => thought).join(''),
        calls: blocks.flatMap(({ call }) => (call === undefined ? [] : [call])),
        stop,
      }),
    ],
    usage: converseUsage(metadata?.usage),
  };
}

function understandConverse(
  content: readonly ContentBlock[],
  stop: string | undefined,
  usage: TokenUsage | undefined,
): Understood {
  const calls = content.flatMap(({ toolUse }) =>
    toolUse === undefined || toolUse.type === 'server_tool_use'
      ? []
      : [{ name: toolUse.name ?? '', input: toolUse.input }],
  );
  const text = content
    .map(
      (block) =>
        (block.text ?? '') + (block.citationsContent?.content ?? []).map((each) => each.text ?? '').join(''),
    )
    .join('');
  const thought = content.map((block) => block.reasoningContent?.reasoningText?.text ?? '').join('');
  return { choices: [choiceOf({ text, thought, calls, stop })], usage: converseUsage(usage) };
}

function converseUsage(usage: TokenUsage | undefined): Understood['usage'] {
  const cached = usage?.cacheReadInputTokens ?? 0;
  return usageOf(
    (usage?.inputTokens ?? 0) + cached + (usage?.cacheWriteInputTokens ?? 0),
    cached,
    usage?.outputTokens,
  );
}

/** Claude by its own words on Bedrock: Amazon's client takes them out of their frames, Anthropic's reads them. */
export function askInvoke(url: string): Ask {
  const client = bedrockAt(url);
  return async ({ model, stream }) => {
    const body = JSON.stringify({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 100,
      messages: [{ role: 'user', content: hello }],
    });
    const said = stream ? await invokeStream(client, model, body) : await invoke(client, model, body);
    const type = stream ? 'text/event-stream' : 'application/json';
    const answering = async () => new Response(said, { headers: { 'content-type': type } });
    const anthropic = new Anthropic({ apiKey: 'none', maxRetries: 0, fetch: answering });
    return messagesClient(anthropic).ask({ model, stream, tools: [] });
  };
}

async function invoke(client: BedrockRuntimeClient, modelId: string, body: string): Promise<string> {
  const answer = await client.send(new InvokeModelCommand({ modelId, body }));
  return answer.body.transformToString();
}

async function invokeStream(client: BedrockRuntimeClient, modelId: string, body: string): Promise<string> {
  const answer = await client.send(new InvokeModelWithResponseStreamCommand({ modelId, body }));
  const events = await Array.fromAsync(answer.body!, ({ chunk }) => new TextDecoder().decode(chunk?.bytes));
  return events.map((data) => `event: ${JSON.parse(data).type}\ndata: ${data}\n\n`).join('');
}
