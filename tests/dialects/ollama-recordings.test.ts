/** Ollama as it really answers, and as its own client understands it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ChatResponse as ClientResponse, Ollama } from 'ollama';
import type { ChatEvent, ChatResponse } from '../../src/core/chat.ts';
import { fold } from '../../src/core/fold.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { ollama } from '../../src/dialects/ollama.ts';
import { frameReader } from '../../src/wire/framing.ts';
import { haveRecordings, loadRecordings } from '../recordings.ts';

/** One answer, as text on the wire. */
interface Sample {
  text: string;
  streaming: boolean;
}

const recordings = loadRecordings(({ dialect }) => dialect === 'ollama-chat').map(
  (each) => [each.file, each] as const,
);
const samples = new Map<string, Sample>();
for (const [file, { response }] of recordings) {
  if (response.status >= 400) continue;
  const streaming = response.ndjson !== undefined;
  samples.set(file, { text: response.ndjson ?? JSON.stringify(response.body), streaming });
}
const folder = join(import.meta.dir, '../../fixtures/ollama');
for (const name of readdirSync(folder)) {
  for (const [file, streaming] of [
    ['stream.ndjson', true],
    ['response.json', false],
  ] as const) {
    const path = join(folder, name, file);
    if (name.startsWith('error') || !existsSync(path)) continue;
    samples.set(`${name}/${file}`, { text: readFileSync(path, 'utf8'), streaming });
  }
}

function read({ text, streaming }: Sample): ChatResponse {
  if (!streaming) return ollama.readResponse(JSON.parse(text), {});
  const events: ChatEvent[] = [];
  const reader = ollama.readStream((event) => events.push(event), {});
  const frames = frameReader(ollama.framing, (name, line) => reader.push(name, line));
  frames.push(new TextEncoder().encode(text));
  frames.end();
  reader.end();
  return fold(events, 'ollama');
}

/** What an answer tells, in no dialect's words. */
interface Told {
  model: string;
  text: string;
  thoughts: string;
  calls: { name: string; input: unknown }[];
  input: number;
  output: number;
}

function toldBy({ model, choices: [choice], usage }: ChatResponse): Told {
  const told: Told = {
    model,
    text: '',
    thoughts: '',
    calls: [],
    input: usage?.input ?? 0,
    output: usage?.output ?? 0,
  };
  for (const block of choice?.blocks ?? []) {
    if (block.type === 'text') told.text += block.text;
    else if (block.type === 'reasoning') told.thoughts += block.text;
    else if (block.type === 'tool-call')
      told.calls.push({ name: block.name, input: JSON.parse(block.input) });
  }
  return told;
}

/** What the vendor's client makes of an answer. */
async function toldByClient(client: Ollama, name: string, streaming: boolean): Promise<Told> {
  const ask = { model: name, messages: [{ role: 'user', content: 'Hello' }] };
  const parts: ClientResponse[] = [];
  if (!streaming) parts.push(await client.chat({ ...ask, stream: false }));
  else for await (const part of await client.chat({ ...ask, stream: true })) parts.push(part);
  const last = parts.at(-1);
  return {
    model: last?.model ?? '',
    text: parts.map(({ message }) => message.content ?? '').join(''),
    thoughts: parts.map(({ message }) => message.thinking ?? '').join(''),
    calls: parts.flatMap(({ message }) =>
      (message.tool_calls ?? []).map(({ function: { name, arguments: input } }) => ({ name, input })),
    ),
    input: last?.prompt_eval_count ?? 0,
    output: last?.eval_count ?? 0,
  };
}

describe('an answer', () => {
  let server: ReturnType<typeof Bun.serve>;
  let client: Ollama;

  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      // The model asked for names the sample.
      fetch: async (request) => {
        const { model } = (await request.json()) as { model: string };
        const { text, streaming } = samples.get(model)!;
        const type = streaming ? 'application/x-ndjson' : 'application/json';
        return new Response(text, { headers: { 'content-type': type } });
      },
    });
    client = new Ollama({ host: server.url.origin });
  });
  afterAll(() => server.stop(true));

  test.each([...samples])("tells what the vendor's client hears: %s", async (name, sample) => {
    expect(toldBy(read(sample))).toEqual(await toldByClient(client, name, sample.streaming));
  });
});

describe.skipIf(!haveRecordings)('a recording', () => {
  const answered = recordings.filter(([, { response }]) => response.status < 400);
  const refused = recordings.filter(([, { response }]) => response.status >= 400);
  const asked = recordings.filter(([, { request }]) => request !== undefined);

  test.each(answered)('ends as it did: %s', (file, { stopReason, features }) => {
    const stop = features.includes('tool-call') && stopReason === 'stop' ? 'tool_calls' : stopReason;
    expect(read(samples.get(file)!).choices[0]?.stop as string).toBe(stop);
  });

  test.each(refused)('of a refusal is understood: %s', (_, { response }) => {
    const bytes = new TextEncoder().encode(JSON.stringify(response.body));
    const error = ollama.readError(response.status, new Headers(response.headers), bytes);
    const kinds: Record<number, string> = { 401: 'upstream_auth', 404: 'upstream_not_found' };
    expect(error.kind as string).toBe(kinds[response.status] ?? 'upstream_bad_request');
    expect(error.message).toContain((response.body as JsonObject).error as string);
  });

  test.each(asked)('of a request loses nothing: %s', (_, { request }) => {
    const lost: string[] = [];
    const read = ollama.readRequest(request!.body);
    const written = JSON.parse(JSON.stringify(ollama.writeRequest(read, {}, lost)));
    expect(lost).toEqual([]);
    expect(ollama.readRequest(written)).toEqual(read);
    for (const [name, value] of Object.entries(request!.body)) {
      if (!Array.isArray(value) || value.length > 0) expect(written).toHaveProperty(name);
    }
  });
});
