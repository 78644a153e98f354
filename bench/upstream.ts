/**
 * The provider that every contender of the benchmark calls: answers at once, with prepared bytes, and does as little
 * as it can. `bun bench/upstream.ts PORT`. The path chooses the dialect, the model's name what happens:
 * `bench` one whole answer; `bench-2000x1` a stream of 2,000 chunks, one each millisecond (`x0`: as fast as it can);
 * `bench-hold` a stream that falls silent after its first word until somebody calls `/release`.
 */

/** What a dialect answers, ready to send. */
interface Voice {
  whole: Uint8Array;
  /** How a stream begins: no word yet. */
  open: Uint8Array;
  /** The chunk that is repeated: a word of text. */
  chunk: Uint8Array;
  close: Uint8Array;
}

const encoder = new TextEncoder();
const words = 'The harbour opens at six, and the tide is with us until half past nine. '.repeat(4).trim();

function sse(data: object, event?: string): string {
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}

function openaiVoice(): Voice {
  const head = { id: 'chatcmpl-bench0000000000000000000001', created: 1_700_000_000, model: 'bench' };
  const usage = {
    prompt_tokens: 120,
    completion_tokens: 80,
    total_tokens: 200,
    prompt_tokens_details: { cached_tokens: 64, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
  const delta = (value: object, finish: string | null) =>
    sse({
      ...head,
      object: 'chat.completion.chunk',
      system_fingerprint: 'fp_bench',
      choices: [{ index: 0, delta: value, logprobs: null, finish_reason: finish }],
    });
  const message = { role: 'assistant', content: words, refusal: null, annotations: [] };
  const whole = {
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    usage,
    service_tier: 'default',
    system_fingerprint: 'fp_bench',
  };
  const totals = sse({ ...head, object: 'chat.completion.chunk', choices: [], usage });
  return {
    whole: encoder.encode(JSON.stringify(whole)),
    open: encoder.encode(delta({ role: 'assistant', content: '', refusal: null }, null)),
    chunk: encoder.encode(delta({ content: ' harbour' }, null)),
    close: encoder.encode(`${delta({}, 'stop')}${totals}data: [DONE]\n\n`),
  };
}

function anthropicVoice(): Voice {
  const input = { input_tokens: 56, cache_creation_input_tokens: 0, cache_read_input_tokens: 64 };
  const head = { id: 'msg_bench00000000000000001', type: 'message', role: 'assistant', model: 'bench' };
  const whole = {
    ...head,
    content: [{ type: 'text', text: words }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { ...input, output_tokens: 80 },
  };
  const start = {
    type: 'message_start',
    message: {
      ...head,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { ...input, output_tokens: 1 },
    },
  };
  const block = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
  const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: ' harbour' } };
  const end = {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { ...input, output_tokens: 80 },
  };
  return {
    whole: encoder.encode(JSON.stringify(whole)),
    open: encoder.encode(
      sse(start, 'message_start') + sse(block, 'content_block_start') + sse({ type: 'ping' }, 'ping'),
    ),
    chunk: encoder.encode(sse(delta, 'content_block_delta')),
    close: encoder.encode(
      sse({ type: 'content_block_stop', index: 0 }, 'content_block_stop') +
        sse(end, 'message_delta') +
        sse({ type: 'message_stop' }, 'message_stop'),
    ),
  };
}

const wholeHeaders = { 'content-type': 'application/json', 'x-request-id': 'req_bench' };
const streamHeaders = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };
const modelForm = /"model":\s*"[^"]*bench(?:-(hold)|-(\d+)x(\d+))?"/;

/** Streams that wait for `/release`. */
let release = Promise.withResolvers<void>();
/** Streams that wait for the next millisecond: one timer for all of them. */
let waiting: (() => void)[] = [];

function nextTick(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) > 1) return;
    setTimeout(() => {
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    }, 1);
  });
}

async function pause(paceMs: number): Promise<void> {
  if (paceMs === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  for (let ms = 0; ms < paceMs; ms++) await nextTick();
}

/** Each chunk is flushed, and the event loop turned, before the next: a write to the socket each. */
function stream(
  voice: Voice,
  chunks: number,
  paceMs: number,
  gone: AbortSignal,
  released?: Promise<void>,
): Response {
  const body = new ReadableStream({
    type: 'direct',
    async pull(controller: ReadableStreamDirectController) {
      controller.write(voice.open);
      await controller.flush();
      await pause(paceMs);
      for (let sent = 0; sent < chunks && !gone.aborted; sent++) {
        controller.write(voice.chunk);
        await controller.flush();
        await pause(paceMs);
      }
      await released;
      controller.write(voice.close);
      controller.close();
    },
  } as never);
  return new Response(body, { headers: streamHeaders });
}

const voices = new Map([
  ['/v1/chat/completions', openaiVoice()],
  ['/v1/messages', anthropicVoice()],
]);

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  idleTimeout: 0,
  maxRequestBodySize: 64 * 1024 ** 2,
  async fetch(request) {
    const path = request.url.slice(request.url.indexOf('/', 8));
    if (path === '/release') {
      release.resolve();
      release = Promise.withResolvers();
      return new Response('released\n');
    }
    const voice = voices.get(path);
    if (voice === undefined) return new Response(`nothing at ${path}\n`, { status: 404 });
    const body = Buffer.from(await request.arrayBuffer());
    // The model's name is near the start or the end of a body, wherever a gateway writes it; seldom looked for in all.
    const at = body.indexOf('"model"');
    const [, hold, chunks, paceMs] = modelForm.exec(body.toString('latin1', at, at + 80)) ?? [];
    if (hold !== undefined) return stream(voice, 1, 0, request.signal, release.promise);
    if (chunks !== undefined) return stream(voice, Number(chunks), Number(paceMs), request.signal);
    return new Response(voice.whole, { headers: wholeHeaders });
  },
});

process.stdout.write(`upstream ${server.port}\n`);
