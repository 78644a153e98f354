/** The mock provider on a free port, with its requests kept and behaviours scripted call by call: for tests. */
import type { CapturedRequest } from '../src/mock/mock.ts';
import { type MockServer, startMock } from '../src/mock/serve.ts';

export interface FakeProvider extends MockServer {
  /** Base URL of OpenAI's and Anthropic's dialects: `http://127.0.0.1:PORT/v1`. Others begin at `url`. */
  base: string;
  /** Requests in the order they came. */
  requests: CapturedRequest[];
  /** How often a model was asked for, by the name that was sent in the path or in the body. */
  callsOf(model: string): number;
  /** Successive calls of `model` behave as listed; the last one stays. */
  script(model: string, ...behaviours: string[]): void;
  /** Resolves as soon as `condition` holds; rejects after five seconds. */
  until(condition: () => boolean): Promise<void>;
}

export async function startFakeProvider(
  options: { key?: string; recordings?: string; seed?: number } = {},
): Promise<FakeProvider> {
  const scripts = new Map<string, string[]>();
  const rename = (model: string): string => {
    const script = scripts.get(model);
    if (script === undefined) return model;
    return (script.length > 1 ? script.shift() : script[0]) ?? model;
  };
  const server = await startMock({ ...options, capture: true, rename });
  const { requests } = server.mock;
  return {
    ...server,
    base: `${server.url}/v1`,
    requests,
    callsOf: (model) => requests.filter((request) => request.model === model).length,
    script: (model, ...behaviours) => void scripts.set(model, behaviours),
    until: async (condition) => {
      for (let waited = 0; !condition(); waited += 5) {
        if (waited > 5000) throw new Error('What was waited for did not happen within five seconds.');
        await Bun.sleep(5);
      }
    },
  };
}
