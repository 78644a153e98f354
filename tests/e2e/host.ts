/** A server that answers as clouds do, whichever model is asked, and keeps what it was asked: for tests. */
import type { Json, JsonObject } from '../../src/core/json.ts';
import { encodeEvent } from '../../src/wire/event-stream.ts';

export interface Asked {
  method: string;
  /** Path and query, as they came. */
  path: string;
  headers: Headers;
  /** The body's bytes. */
  bytes: Uint8Array;
  body: JsonObject;
}

export interface FakeHost {
  url: string;
  /** In the order they came. */
  requests: Asked[];
  /** What was asked last. */
  last(): Asked;
  /** Answers with this instead, where it is something. */
  answer: ((asked: Asked) => Response | Promise<Response> | undefined) | undefined;
  stop(): Promise<void>;
}

export function startHost(): FakeHost {
  const requests: Asked[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const bytes = await request.bytes();
      const path = request.url.slice(request.url.indexOf('/', 8));
      const text = new TextDecoder().decode(bytes);
      const body = (text.startsWith('{') ? JSON.parse(text) : {}) as JsonObject;
      const asked = { method: request.method, path, headers: request.headers, bytes, body };
      requests.push(asked);
      return host.answer?.(asked) ?? usualAnswer(asked);
    },
  });
  const host: FakeHost = {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    last: () => requests.at(-1)!,
    answer: undefined,
    stop: () => server.stop(true),
  };
  return host;
}

const message = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'Hi.' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 3, output_tokens: 2 },
};

const messageEvents: JsonObject[] = [
  { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi.' } },
  { type: 'content_block_stop', index: 0 },
  {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { output_tokens: 2 },
  },
  { type: 'message_stop' },
];

const completion = {
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};

const chunks: Json[] = [
  { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi.' }, finish_reason: null }] },
  { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [], usage: completion.usage },
]; // biome-ignore format: a line each

const converse = {
  output: { message: { role: 'assistant', content: [{ text: 'Hi.' }] } },
  stopReason: 'end_turn',
  usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
  metrics: { latencyMs: 1 },
};

const generated = {
  candidates: [{ index: 0, content: { role: 'model', parts: [{ text: 'Hi.' }] }, finishReason: 'STOP' }],
  usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 },
  modelVersion: 'gemini',
  responseId: 'g1',
};

/** By the path's last word: what is asked for, and in which dialect. */
function usualAnswer({ path, body }: Asked): Response {
  const [place = ''] = path.split('?');
  if (place.endsWith('/invoke-with-response-stream')) return chunked(messageEvents);
  if (place.endsWith(':streamRawPredict')) return events(messageEvents);
  if (place.endsWith('/messages'))
    return body.stream === true ? events(messageEvents) : Response.json(message);
  if (place.endsWith('/invoke') || place.endsWith(':rawPredict')) return Response.json(message);
  if (place.endsWith('/converse')) return Response.json(converse);
  if (place.endsWith(':generateContent')) return Response.json(generated);
  if (place.endsWith('/chat/completions'))
    return body.stream === true ? lines(chunks) : Response.json(completion);
  return Response.json({ message: `nothing at ${path}` }, { status: 404 });
}

const sse = { 'content-type': 'text/event-stream' };

function events(all: readonly JsonObject[]): Response {
  const text = all.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
  return new Response(text, { headers: sse });
}

function lines(all: readonly Json[]): Response {
  const text = all.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('');
  return new Response(`${text}data: [DONE]\n\n`, { headers: sse });
}

/** Events of another dialect as Bedrock wraps them: base64 in JSON in frames. */
function chunked(all: readonly JsonObject[]): Response {
  const frames = all.map((event) =>
    encodeEvent(
      { ':event-type': 'chunk', ':content-type': 'application/json', ':message-type': 'event' },
      JSON.stringify({ bytes: Buffer.from(JSON.stringify(event)).toString('base64') }),
    ),
  );
  return new Response(Buffer.concat(frames), {
    headers: { 'content-type': 'application/vnd.amazon.eventstream' },
  });
}
