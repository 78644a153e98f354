/** Asks as a client of any dialect, and hears the answer as exactly as no SDK does. */
import { expect } from 'bun:test';
import type { JsonObject } from '../../src/core/json.ts';
import { SseReader } from '../../src/wire/sse.ts';
import { hello } from '../conformance/client.ts';
import { rawRequest } from '../conformance/raw-requests.ts';
import { dialectNamed, type FaultyProvider, type Spoken } from '../faulty-provider.ts';
import type { Way } from './fault-table.ts';
import type { TestGateway } from './gateway.ts';

export interface Heard {
  status: number;
  headers: Headers;
  text: string;
  /** The message of an error, of the response or in its stream. */
  error: string | undefined;
  /** The answer has come to its end in good order. */
  ended: boolean;
}

let calls = 0;

/** @param members of the request's body, beside the usual ones or in their place. */
export async function listen(
  gateway: TestGateway,
  provider: FaultyProvider,
  client: Spoken,
  way: Way,
  model: string,
  members: JsonObject = {},
): Promise<Heard> {
  const dialect = dialectNamed(client);
  const call = ++calls;
  const { path, body } = rawRequest(dialect, { model, stream: way === 'streamed' });
  const text = JSON.stringify({ ...body, ...members }).replace(hello, `call-${call}`);
  const response = await gateway.post(path, text);
  const { status, headers } = response;
  const heard: Heard = { status, headers, text: '', error: undefined, ended: false };
  const bytes = await readAll(response, () => provider.show(call));
  if (status !== 200) heard.error = complaintOf(client, JSON.parse(bytes));
  else if (way === 'streamed') readStream(client, bytes, heard);
  else {
    const { choices } = dialect.readResponse(JSON.parse(bytes), {});
    for (const block of choices[0]!.blocks) if (block.type === 'text') heard.text += block.text;
    heard.ended = true;
  }
  return heard;
}

async function readAll(response: Response, onFirst: () => void): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of response.body!) {
    if (parts.push(part) === 1) onFirst();
  }
  return Buffer.concat(parts).toString();
}

/** Every event has to be one. */
function readStream(client: Spoken, bytes: string, heard: Heard): void {
  expect(bytes).toMatch(/\r?\n\r?\n$/);
  const reader = dialectNamed(client).readStream((event) => {
    if (event.type === 'delta') heard.text += event.text ?? '';
    if (event.type === 'end') heard.ended = true;
    if (event.type === 'error') heard.error = event.error.message;
  }, {});
  const sse = new SseReader((name, data) => {
    if (data !== '[DONE]') JSON.parse(data);
    reader.push(name, data);
  });
  sse.push(new TextEncoder().encode(bytes));
  sse.end();
  reader.end();
}

interface Complaint {
  type?: string;
  error?: { message?: string; type?: string; code?: unknown; status?: unknown };
}

/** The message, where the body is an error as clients of the dialect know it. */
function complaintOf(client: Spoken, { type, error }: Complaint): string | undefined {
  const shaped =
    client === 'anthropic-messages'
      ? type === 'error' && typeof error?.type === 'string'
      : client === 'gemini'
        ? typeof error?.code === 'number' && typeof error.status === 'string'
        : typeof error?.type === 'string';
  return shaped ? error?.message : undefined;
}
