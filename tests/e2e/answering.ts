/** A provider, or several, in the first part of the path: it does well, and answers otherwise where a test says so. */

export interface Asked {
  method: string;
  /** With the provider in front. */
  path: string;
  model: string;
  key: string | null;
}

export type Answer = (asked: Asked) => Response | Promise<Response>;

export interface Answering {
  /** All requests, in their order. */
  asked: Asked[];
  /** By provider: whoever has none does well. */
  answers: Map<string, Answer>;
  /** A line of the configuration's providers. @param rest what else stands in it. */
  provider(name: string, rest?: string): string;
  stop(): Promise<void>;
}

export const well: Answer = ({ model }) =>
  Response.json({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  });

export function startAnswering(): Answering {
  const asked: Asked[] = [];
  const answers = new Map<string, Answer>();
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    // Connections that wait for the next call stay open.
    idleTimeout: 255,
    async fetch(request) {
      const path = new URL(request.url).pathname.slice(1);
      const [provider = ''] = path.split('/');
      const { model } = request.method === 'POST' ? ((await request.json()) as Asked) : { model: '' };
      const key = request.headers.get('authorization');
      const each = { method: request.method, path, model, key };
      asked.push(each);
      return (answers.get(provider) ?? well)(each);
    },
  });
  return {
    asked,
    answers,
    provider: (name, rest = 'key: up') =>
      `  ${name}: { speaks: openai-chat, url: "http://127.0.0.1:${server.port}/${name}", ${rest} }`,
    stop: () => server.stop(true),
  };
}
