/** Somebody who is told by webhooks, and verifies what he is told as its library says: for tests. */
import { Webhook } from 'standardwebhooks';

/** Of 32 bytes. */
export const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

export interface Received {
  id: string;
  path: string;
  headers: Record<string, string>;
  text: string;
  /** What the library makes of it, once it has verified it. */
  event: { type: string; timestamp: string; data: Record<string, unknown> };
}

export interface Receiver {
  url: string;
  received: Received[];
  /** What it answers; 200 unless told otherwise. */
  answer: (received: Received) => Response | Promise<Response>;
  stop(): Promise<void>;
}

export function startReceiver(): Receiver {
  const verifier = new Webhook(secret);
  const receiver: Receiver = {
    url: '',
    received: [],
    answer: () => new Response('thanks'),
    stop: () => server.stop(true),
  };
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const text = await request.text();
      const headers = Object.fromEntries(request.headers);
      const event = verifier.verify(text, headers) as Received['event'];
      const { pathname: path } = new URL(request.url);
      const received = { id: headers['webhook-id']!, path, headers, text, event };
      receiver.received.push(received);
      return receiver.answer(received);
    },
  });
  receiver.url = `http://127.0.0.1:${server.port}`;
  return receiver;
}
