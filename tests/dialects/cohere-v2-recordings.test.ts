/** Cohere as it really answers, and as its own client understands it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cohere, CohereClientV2 } from 'cohere-ai';
import type { ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { cohereV2 } from '../../src/dialects/cohere-v2.ts';
import { haveRecordings, loadRecordings, sseEvents } from '../recordings.ts';

/** One answer, as text on the wire. */
interface Sample {
  text: string;
  streaming: boolean;
}

const samples = new Map<string, Sample>();
for (const { file, response } of loadRecordings(({ dialect }) => dialect === 'cohere-v2')) {
  if (response.status >= 400) continue;
  const streaming = response.sse !== undefined;
  samples.set(file, { text: response.sse ?? JSON.stringify(response.body), streaming });
}
const folder = join(import.meta.dir, '../../fixtures/cohere-v2');
for (const name of readdirSync(folder)) {
  for (const [file, streaming] of [
    ['stream.sse', true],
    ['response.json', false],
  ] as const) {
    const path = join(folder, name, file);
    if (name.startsWith('error') || !existsSync(path)) continue;
    samples.set(`${name}/${file}`, { text: readFileSync(path, 'utf8'), streaming });
  }
}

function read({ text, streaming }: Sample): ChatResponse {
  if (!streaming) return cohereV2.readResponse(JSON.parse(text), {});
  const events: ChatEvent[] = [];
  const reader = cohereV2.readStream((event) => events.push(event), {});
  for (const { event, data } of sseEvents(text)) reader.push(event, data);
  reader.end();
  return fold(events, 'cohere-v2');
}

/** What an answer tells, in no dialect's words. */
interface Told {
  id: string;
  text: string;
  thoughts: string;
  plan: string;
  calls: { id: string; name: string; input: string }[];
  citations: number;
  input: number;
  output: number;
  billed: number;
  cached: number;
}

function toldBy({ id, choices: [choice], usage }: ChatResponse): Told {
  const told: Told = {
    id,
    text: '',
    thoughts: '',
    plan: '',
    calls: [],
    citations: ((choice?.extra?.citations ?? []) as unknown[]).length,
    input: usage?.input ?? 0,
    output: usage?.output ?? 0,
    billed: usage?.billed?.input ?? 0,
    cached: usage?.cacheRead ?? 0,
  };
  for (const block of choice?.blocks ?? []) {
    if (block.type === 'text') {
      told.text += block.text;
      told.citations += new Set(block.citations?.map(({ value }) => value)).size;
    } else if (block.type === 'reasoning') {
      if (block.extra?.tool_plan) told.plan += block.text;
      else told.thoughts += block.text;
    } else if (block.type === 'tool-call') {
      told.calls.push({ id: block.id, name: block.name, input: block.input });
    }
  }
  return told;
}

/** What the vendor's client makes of an answer. */
async function toldByClient(client: CohereClientV2, name: string, streaming: boolean): Promise<Told> {
  const ask = { model: name, messages: [{ role: 'user' as const, content: 'Hello' }] };
  const message: Cohere.AssistantMessageResponse = {
    role: 'assistant',
    content: [],
    toolCalls: [],
    citations: [],
  };
  let id = '';
  let usage: Cohere.Usage | undefined;
  if (!streaming) {
    const answer = await client.chat(ask);
    ({ id, usage } = answer);
    Object.assign(message, answer.message);
  } else {
    for await (const event of await client.chatStream(ask)) {
      if (event.type === 'message-start') id = event.id ?? '';
      else if (event.type === 'message-end') usage = event.delta?.usage;
      else gather(message, event);
    }
  }
  const { inputTokens = 0, outputTokens = 0, ...others } = usage?.tokens ?? {};
  const parts = message.content ?? [];
  return {
    id,
    text: parts.map((part) => (part.type === 'text' ? part.text : '')).join(''),
    thoughts: parts.map((part) => (part.type === 'thinking' ? part.thinking : '')).join(''),
    plan: message.toolPlan ?? '',
    calls: (message.toolCalls ?? []).map((call) => ({
      id: call.id,
      name: call.function?.name ?? '',
      // The client leaves it to its users what no arguments are.
      input: call.function?.arguments || '{}',
    })),
    citations: message.citations?.length ?? 0,
    // The client has no name for it, and passes it through.
    input:
      inputTokens +
      ((others as JsonObject).image_tokens === undefined ? 0 : Number((others as JsonObject).image_tokens)),
    output: outputTokens,
    billed: usage?.billedUnits?.inputTokens ?? 0,
    cached: usage?.cachedTokens ?? 0,
  };
}

/** Puts a streamed answer together, as users of the client do. */
function gather(message: Cohere.AssistantMessageResponse, event: Cohere.V2ChatStreamResponse): void {
  switch (event.type) {
    case 'content-delta': {
      const { text = '', thinking = '' } = event.delta?.message?.content ?? {};
      if (thinking !== '') message.content?.push({ type: 'thinking', thinking });
      else message.content?.push({ type: 'text', text });
      return;
    }
    case 'tool-plan-delta':
      message.toolPlan = (message.toolPlan ?? '') + (event.delta?.message?.toolPlan ?? '');
      return;
    case 'tool-call-start': {
      const call = event.delta?.message?.toolCalls;
      if (call !== undefined) message.toolCalls?.push(structuredClone(call));
      return;
    }
    case 'tool-call-delta': {
      const call = message.toolCalls?.at(-1)?.function;
      if (call !== undefined) call.arguments += event.delta?.message?.toolCalls?.function?.arguments ?? '';
      return;
    }
    case 'citation-start': {
      const citation = event.delta?.message?.citations;
      if (citation !== undefined) message.citations?.push(citation);
    }
  }
}

describe('an answer', () => {
  let server: ReturnType<typeof Bun.serve>;
  let client: CohereClientV2;

  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      // The model asked for names the sample.
      fetch: async (request) => {
        const { model } = (await request.json()) as { model: string };
        const { text, streaming } = samples.get(model)!;
        const type = streaming ? 'text/event-stream' : 'application/json';
        return new Response(text, { headers: { 'content-type': type } });
      },
    });
    client = new CohereClientV2({ token: 'none', environment: server.url.origin, maxRetries: 0 });
  });
  afterAll(() => server.stop(true));

  test.each([...samples])("tells what the vendor's client hears: %s", async (name, sample) => {
    expect(toldBy(read(sample))).toEqual(await toldByClient(client, name, sample.streaming));
  });
});

describe.skipIf(!haveRecordings)('a recording', () => {
  const recordings = loadRecordings(({ dialect }) => dialect === 'cohere-v2').map(
    (each) => [each.file, each] as const,
  );

  test.each(recordings.filter(([, { response }]) => response.status < 400))(
    'ends as it did: %s',
    (file, { stopReason }) => {
      const words: Record<string, string> = {
        COMPLETE: 'stop',
        STOP_SEQUENCE: 'stop_sequence',
        MAX_TOKENS: 'length',
        TOOL_CALL: 'tool_calls',
      };
      expect(read(samples.get(file)!).choices[0]?.stop as string).toBe(words[stopReason]!);
    },
  );

  test.each(recordings.filter(([, { response }]) => response.status >= 400))(
    'of a refusal is understood: %s',
    (_, { response }) => {
      const bytes = new TextEncoder().encode(JSON.stringify(response.body));
      const error = cohereV2.readError(response.status, new Headers(response.headers), bytes);
      const usual: Record<number, string> = {
        401: 'upstream_auth',
        404: 'upstream_not_found',
        429: 'upstream_rate_limited',
      };
      const long = /too many tokens/i.test(error.message) ? 'context_length' : 'upstream_bad_request';
      expect(error.kind as string).toBe(usual[response.status] ?? long);
      expect(error.message).toContain((response.body as JsonObject).message as string);
    },
  );

  test.each(recordings.filter(([, { request }]) => request !== undefined))(
    'of a request loses nothing: %s',
    (_, { request }) => {
      const lost: string[] = [];
      const read = cohereV2.readRequest(request!.body);
      const written = JSON.parse(JSON.stringify(cohereV2.writeRequest(read, {}, lost)));
      expect(lost).toEqual([]);
      expect(cohereV2.readRequest(written)).toEqual(read);
    },
  );
});
