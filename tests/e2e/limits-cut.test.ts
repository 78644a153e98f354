/** What becomes of answers that need more than their limits bear: cut off in good order, bounded, finished or refused. */
import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';
import { startGateway, type TestGateway, until } from './gateway.ts';

/** Eight thousand tokens, in pieces of four. */
const story = 'echo:tokens=8000,delay=1';
/** What is written in one piece, and what was underway when it was noticed. */
const slackTokens = 60;

let provider: FakeProvider;
let gateway: TestGateway;

beforeAll(async () => {
  provider = await startFakeProvider();
  const prices = Object.fromEntries(
    ['oa', 'an', 'ge', 're'].flatMap((name) =>
      [story, 'echo:tokens=300', 'echo:tokens=2000'].map((model) => [
        `${name}/${model}`,
        { input: 1, output: 1 },
      ]),
    ),
  );
  const limited = (name: string, limit: string) =>
    `  - { name: ${name}, key: ${name}, limits: [${limit}] }\n`;
  gateway = await startGateway(`
providers:
  oa: { speaks: openai-chat, url: "${provider.base}", key: up }
  an: { speaks: anthropic-messages, url: "${provider.base}", key: up }
  re: { speaks: openai-responses, url: "${provider.base}", key: up }
  ge: { speaks: gemini, url: "${provider.url}/v1beta", key: up, auth: x-goog-api-key }
prices: ${JSON.stringify(prices)}
keys:
${['openai', 'anthropic', 'responses', 'gemini']
  .flatMap((client) =>
    ['oa', 'an', 're', 'ge'].map((to) => limited(`${client}-${to}`, '{ usd: 0.002, per: month }')),
  )
  .join('')}
${limited('crowd', '{ usd: 0.02, per: month }')}
${limited('whole', '{ tokens: 1500, per: month }')}
${limited('patient', '{ tokens: 1500, per: month, when_exhausted: finish }')}
${limited('several', '{ tokens: 1500, per: month }')}
${limited('together', '{ tokens: 1500, per: month }')}
${limited('checked', '{ tokens: 1500, per: month }')}
${limited('unbounded', '{ tokens: 100000, per: month }')}
${limited('ample', '{ usd: 100, per: month }')}
${limited('scripts', '{ tokens: 3000, per: month, when_exhausted: refuse }')}
${limited('strict', '{ tokens: 1500, per: month, when_exhausted: refuse }')}
`);
});

afterAll(async () => {
  await gateway.stop();
  await provider.stop();
});

type Client = 'openai' | 'anthropic' | 'responses' | 'gemini';

function ask(
  client: Client,
  secret: string,
  model: string,
  stream = true,
  more: object = {},
): Promise<Response> {
  const messages = [{ role: 'user', content: 'Tell me the story.' }];
  const authorization = `Bearer ${secret}`;
  const usage = stream && client === 'openai' ? { stream_options: { include_usage: true } } : {};
  switch (client) {
    case 'openai':
      return gateway.post(
        '/v1/chat/completions',
        { model, stream, messages, ...usage, ...more },
        { authorization },
      );
    case 'anthropic':
      return gateway.post(
        '/v1/messages',
        { model, stream, messages, max_tokens: 9000, ...more },
        { authorization },
      );
    case 'responses':
      return gateway.post(
        '/v1/responses',
        { model, stream, input: 'Tell me the story.', ...more },
        { authorization },
      );
    case 'gemini': {
      const path = `/v1beta/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
      return gateway.post(
        path,
        { contents: [{ parts: [{ text: 'Tell me the story.' }] }], ...more },
        { authorization },
      );
    }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: whatever a provider may send.
type Event = Record<string, any>;

async function eventsOf(response: Response): Promise<Event[]> {
  const text = await response.text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)) as Event);
}

/** Why an answer ended, and the tokens its client was told of. */
function endOf(client: Client, events: Event[]): { stop: unknown; output: unknown; closed: boolean } {
  const last = events.at(-1)!;
  switch (client) {
    case 'openai': {
      const finish = events.findLast(({ choices }) => choices[0]?.finish_reason != null)!;
      return { stop: finish.choices[0].finish_reason, output: last.usage?.completion_tokens, closed: true };
    }
    case 'anthropic': {
      const delta = events.find(({ type }) => type === 'message_delta')!;
      const opened = events.filter(({ type }) => type === 'content_block_start').length;
      const closed = events.filter(({ type }) => type === 'content_block_stop').length;
      return {
        stop: delta.delta.stop_reason,
        output: delta.usage.output_tokens,
        closed: opened === closed && last.type === 'message_stop',
      };
    }
    case 'responses':
      return {
        stop: last.type === 'response.incomplete' && last.response.incomplete_details.reason,
        output: last.response.usage.output_tokens,
        closed: events.some(({ type }) => type === 'response.output_item.done'),
      };
    case 'gemini':
      return {
        stop: last.candidates[0].finishReason,
        output: last.usageMetadata.candidatesTokenCount,
        closed: true,
      };
  }
}

const stops = {
  openai: 'length',
  anthropic: 'max_tokens',
  responses: 'max_output_tokens',
  gemini: 'MAX_TOKENS',
};

async function spent(name: string) {
  const rows = (await gateway.attempts()).filter((row) => row.key === name);
  const sum = (read: (row: (typeof rows)[number]) => unknown) =>
    rows.reduce((total, row) => total + Number(read(row)), 0);
  return {
    rows,
    nanoUsd: sum((row) => row.nano_usd),
    tokens: sum((row) => Number(row.input) + Number(row.output)),
  };
}

function look(name: string): { used: number; reserved: number } {
  const { keyring, limiter } = gateway.app.gateway;
  const key = keyring.authenticate(name, Date.now());
  return limiter.look(limiter.limitsOf(gateway.app.snapshot(), key)[0]!, Date.now());
}

describe('a stream that its budget does not bear to its end', () => {
  const clients: Client[] = ['openai', 'anthropic', 'responses', 'gemini'];
  const all = clients.flatMap((client) => ['oa', 'an', 're', 'ge'].map((to) => [client, to] as const));
  test.each(all)('%s from %s: ends as one that was long enough', async (client, to) => {
    const secret = `${client}-${to}`;
    const response = await ask(client, secret, `${to}/${story}`);
    expect(response.status).toBe(200);
    const { stop, output, closed } = endOf(client, await eventsOf(response));
    expect({ stop, closed }).toEqual({ stop: stops[client], closed: true });
    await until(() => look(secret).reserved === 0);
    const { rows, nanoUsd } = await spent(secret);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ outcome: 'ok', estimated: 1 });
    expect(Number(rows[0]!.output)).toBe(output as number);
    // Nearly all of it was used, and hardly more.
    expect(nanoUsd).toBeWithin(1_800_000, 2_000_000 + slackTokens * 1000);
    expect(look(secret).used).toBe(nanoUsd);
    const next = await ask(client, secret, `${to}/${story}`);
    expect(next.status).toBe(429);
  });
});

test('a crowd of streams spends no more than the budget, and none ends in silence', async () => {
  const answers = await Promise.all(
    Array.from({ length: 120 }, async (_, i) => {
      const client = (['openai', 'anthropic', 'responses', 'gemini'] as const)[i % 4]!;
      const response = await ask(client, 'crowd', `${['oa', 'an'][i % 2]}/${story}`);
      if (response.status !== 200) return response.status;
      const { stop, closed } = endOf(client, await eventsOf(response));
      expect([stops[client], 'stop', 'end_turn', 'STOP']).toContain(stop as string);
      expect(closed).toBe(true);
      return 200;
    }),
  );
  const answered = answers.filter((status) => status === 200).length;
  expect(answered).toBeGreaterThan(1);
  expect(answers.every((status) => status === 200 || status === 429)).toBe(true);
  await until(() => look('crowd').reserved === 0);
  const { nanoUsd } = await spent('crowd');
  expect(nanoUsd).toBeLessThanOrEqual(20_000_000 + answered * slackTokens * 1000);
  expect(nanoUsd).toBeGreaterThan(18_000_000);
});

test('a whole answer is bounded by what is left of the limit', async () => {
  const response = await ask('openai', 'whole', `oa/${story}`, false, { max_tokens: undefined });
  expect(response.status).toBe(200);
  const { choices } = (await response.json()) as Event;
  expect(choices[0].finish_reason).toBe('length');
  const { tokens } = await spent('whole');
  expect(tokens).toBeLessThanOrEqual(1500);
});

test.each([
  ['several', true],
  ['together', false],
])('answers that are put together of several requests are bounded together (%s)', async (name, stream) => {
  const response = await ask('openai', name, `an/${story}`, stream, { n: 3 });
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text.match(/"finish_reason":"length"/g)).toHaveLength(3);
  const { rows, tokens } = await spent(name);
  expect(rows).toHaveLength(3);
  expect(tokens).toBeWithin(400, 1501);
  await until(() => look(name).reserved === 0);
  expect(look(name).used).toBe(tokens);
});

test('a stream that is read whole to be checked is bounded', async () => {
  const form = { response_format: { type: 'json_object' } };
  const response = await ask('openai', 'checked', `an/${story}`, true, form);
  expect(response.status).toBe(200);
  const { stop } = endOf('openai', await eventsOf(response));
  expect(stop).toBe('length');
  const { tokens } = await spent('checked');
  expect(tokens).toBeWithin(400, 1501);
});

test('a whole answer of which nobody knows how long it can be is bounded by what is held for it', async () => {
  const response = await ask('openai', 'unbounded', `oa/${story}`, false);
  const { choices, usage } = (await response.json()) as Event;
  expect(choices[0].finish_reason).toBe('length');
  expect(usage.completion_tokens).toBeLessThanOrEqual(4096);
  // Who says how long it may be is heard.
  const said = await ask('openai', 'unbounded', `oa/${story}`, false, { max_tokens: 9000 });
  expect(((await said.json()) as Event).choices[0].finish_reason).toBe('stop');
});

test('where the limit bears the longest answers many times over it is not, and no more is charged should its end be lost', async () => {
  const dispatched = spyOn(gateway.app.gateway.journal, 'dispatched');
  const response = await ask('openai', 'ample', `oa/${story}`, false, { max_tokens: undefined });
  const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
  expect(usage.completion_tokens).toBe(8000);
  expect(provider.requests.at(-1)!.body).not.toHaveProperty('max_tokens');
  expect(dispatched.mock.lastCall![0].reservedNanoUsd).toBeWithin(1_000_000, 2_000_000);
  dispatched.mockRestore();
});

test('a prompt in any script is held in full before it is sent', async () => {
  const content = '人工智能正在改变我们的生活方式。'.repeat(60);
  const sent = provider.requests.length;
  for (const to of ['oa', 'an']) {
    const messages = [{ role: 'user', content }];
    const more = { messages, max_tokens: 2000 };
    // A token per four bytes would be 720, and fit.
    const refused = await ask('openai', 'scripts', `${to}/echo:tokens=300`, false, more);
    expect(refused.status).toBe(429);
  }
  expect(provider.requests).toHaveLength(sent);
});

test('where answers may finish, one does, and the next call is refused', async () => {
  const response = await ask('openai', 'patient', 'oa/echo:tokens=2000');
  const { stop } = endOf('openai', await eventsOf(response));
  expect(stop).toBe('stop');
  await until(() => look('patient').reserved === 0);
  expect(look('patient').used).toBeGreaterThan(2000);
  expect((await ask('openai', 'patient', 'oa/echo:tokens=300')).status).toBe(429);
});

test('where the most is held, a call that might need more is refused, and one that says how much is answered', async () => {
  const unsaid = await ask('openai', 'strict', 'oa/echo:tokens=300');
  expect(unsaid.status).toBe(400);
  expect(await unsaid.text()).toInclude('say how many tokens it may have at most');
  expect((await ask('openai', 'strict', 'oa/echo:tokens=300', true, { max_tokens: 1600 })).status).toBe(429);
  const said = await ask('openai', 'strict', 'oa/echo:tokens=2000', true, { max_tokens: 1000 });
  expect(endOf('openai', await eventsOf(said)).stop).toBe('length');
  await until(() => look('strict').reserved === 0);
  expect(look('strict').used).toBeWithin(1000, 1500);
});
