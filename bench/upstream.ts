/**
 * The provider that every contender of the benchmark calls: answers at once, with prepared bytes, and does as little
 * as it can. `bun bench/upstream.ts PORT`. The path chooses the dialect, the model's name, there or in the body, what
 * happens:
 * `bench` one whole answer; `bench-2000x1` a stream of 2,000 chunks, one each millisecond (`x0`: as fast as it can);
 * `bench-hold` a stream that falls silent after its first word until somebody calls `/release`.
 */

import { type Voice, voiceAt } from './voices.ts';

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
      if (voice.open.length > 0) {
        controller.write(voice.open);
        await controller.flush();
        await pause(paceMs);
      }
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
  return new Response(body, { headers: voice.streamHeaders });
}

interface Asked {
  hold: boolean;
  /** Undefined: a whole answer. */
  chunks: number | undefined;
  paceMs: number;
}

const asked = new Map<string, Asked>();

function readModel(name: string): Asked {
  let found = asked.get(name);
  if (found === undefined) {
    const [, hold, chunks, paceMs] = /bench(?:-(hold)|-(\d+)x(\d+))?$/.exec(name) ?? [];
    const count = chunks === undefined ? undefined : Number(chunks);
    found = { hold: hold !== undefined, chunks: count, paceMs: Number(paceMs ?? 0) };
    asked.set(name, found);
  }
  return found;
}

const places = new Map<string, ReturnType<typeof voiceAt>>();

function placeAt(path: string): ReturnType<typeof voiceAt> {
  if (!places.has(path)) places.set(path, voiceAt(path));
  return places.get(path);
}

/** The name is near the start or the end of a body, wherever a gateway writes it; seldom looked for in all of it. */
function modelIn(body: Buffer): string {
  const at = body.indexOf('"model"');
  return /"model":\s*"([^"]*)"/.exec(body.toString('latin1', at, at + 80))?.[1] ?? '';
}

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
    const place = placeAt(path);
    if (place === undefined) return new Response(`nothing at ${path}\n`, { status: 404 });
    const { voice } = place;
    const body = Buffer.from(await request.arrayBuffer());
    const { hold, chunks, paceMs } = readModel(place.model ?? modelIn(body));
    if (hold) return stream(voice, 1, 0, request.signal, release.promise);
    if (chunks !== undefined) return stream(voice, chunks, paceMs, request.signal);
    return new Response(voice.whole, { headers: voice.wholeHeaders });
  },
});

process.stdout.write(`upstream ${server.port}\n`);
