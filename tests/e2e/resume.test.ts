/** Streams that break off after their beginning was shown: another attempt goes on with them, and the client hears one answer. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Settled } from '../../src/core/record.ts';
import { type AttemptRow, forced, key, startGateway, type TestGateway, until } from './gateway.ts';
import { type Storyteller, startStoryteller, story } from './storyteller.ts';
import { type Heard, type Speaker, speakersAt, type Talk } from './talk.ts';

const clients = [
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'gemini',
  'openai-completions',
] as const;
type Client = (typeof clients)[number];

/** Providers by the dialect they speak. */
const providers = {
  'openai-chat': 'ch',
  'openai-responses': 're',
  'anthropic-messages': 'an',
  gemini: 'ge',
  'openai-completions': 'co',
} as const;

/** Who goes on, and how they are asked to. */
const seconds = [
  ['ch', 'plain', 'instruction'],
  ['re', 'plain', 'instruction'],
  ['an', 'claude-opus-4-8', 'instruction'],
  ['an', 'claude-haiku-4-5', 'turn'],
  ['ge', 'gemini-2.5-flash', 'turn'],
  ['mi', 'plain', 'turn'],
] as const;

const talk: Talk = { turns: [{ user: ['Tell me the story.'] }] };
const tool = {
  name: 'look',
  schema: { type: 'object', properties: { at: { type: 'integer' } }, required: ['at'] },
};

/** Routes of the tests, by their names; each has targets of its own, so that no health is shared. */
const routes: Record<string, string> = {};
let count = 0;

function route(
  targets: [provider: string, model: string][],
  how = 'resume: continue',
  strategy = 'fallback',
): { model: string; ids: string[] } {
  const model = `r${count++}`;
  const ids = targets.map(([provider, name]) => `${provider}/${model}.${name}`);
  routes[model] = `{ ${strategy}: [${ids.map((id) => JSON.stringify(id)).join(', ')}], ${how} }`;
  return { model, ids };
}

const matrix = clients.flatMap((client) =>
  Object.values(providers).flatMap((first) =>
    seconds
      .filter(() => first !== 'co' || client === 'openai-completions')
      .map(([second, name, way], i) => {
        const verb = (['cut:40', 'reset:33', 'error:21', 'torn:7', 'bare:12'] as const)[i % 5];
        return {
          ...route([
            [first, `m~${verb}`],
            [second, `${name}~tell`],
          ]),
          client,
          first,
          second,
          way,
          verb,
        };
      }),
  ),
);
const stalls = clients.map((client) => ({
  client,
  ...route([
    [providers[client], 'm~stall:40'],
    ['ch', 'm~tell'],
  ]),
}));

let host: Storyteller;
let gateway: TestGateway;
let speakers: Record<string, Speaker>;
const named: Record<string, ReturnType<typeof route>> = {
  prompt: route([['co', 'm~cut:30'], ['co', 'm~tell']]),
  early: route([['ch', 'm~cut:40'], ['ch', 'm~early']]),
  silent: route([['ch', 'm~cut:40'], ['ch', 'm~silent'], ['ch', 'm~tell']]),
  thinks: route([['ch', 'm~cut:40'], ['ch', 'm~thinking']]),
  twice: route([['ch', 'm~cut:40'], ['an', 'claude-haiku-4-5~cut:20'], ['ge', 'm~tell']]),
  refused: route([['an', 'm~cut:40'], ['ch', 'm~status:503'], ['re', 'm~cut:0'], ['ge', 'm~tell']]),
  down: route([['ch', 'm~cut:40'], ['an', 'm~status:503']]),
  alone: route([['ch', 'm~cut:40']]),
  refusedWords: route([['ch', 'm~cut:40'], ['re', 'm~status:400'], ['an', 'm~tell']]),
  never: route([['ch', 'm~cut:40'], ['an', 'm~tell']], 'resume: never'),
  restart: route([['ch', 'm~cut:40'], ['an', 'm~tell']], 'resume: restart'),
  thought: route([['an', 'm~thought-cut'], ['ch', 'm~thinking']], 'resume: restart'),
  thoughtForm: route([['an', 'm~thought-cut'], ['de', 'm~thinking'], ['ch', 'm~thinking']], 'resume: restart'),
  half: route([['ch', 'm~half-call'], ['an', 'm~calls']]),
  halfHeld: route([['ch', 'm~half-call'], ['an', 'm~calls']]),
  halfRelayed: route([['an', 'm~half-call'], ['ch', 'm~calls']]),
  whole: route([['an', 'm~call-cut'], ['ch', 'm~calls']]),
  wholeSilent: route([['ge', 'm~call-cut'], ['ch', 'm~calls']]),
  wholeOpen: route([['ch', 'm~call-cut'], ['an', 'm~calls']]),
  json: route([['ch', 'm~cut:40'], ['re', 'm~tell'], ['an', 'claude-haiku-4-5~tell']]),
  jsonLost: route([['ch', 'm~cut:40'], ['re', 'm~tell']]),
  limited: route([['an', 'm~cut:40'], ['ch', 'm~tell']]),
  hedged: route([['ch', 'm~cut:40'], ['an', 'm~tell']], 'after: 10s, share: 1, resume: continue', 'hedge'),
  leaves: route([['ch', 'm~cut:40'], ['an', 'm~stall:9']]),
}; // biome-ignore format: a line each

beforeAll(async () => {
  host = await startStoryteller();
  const at = (speaks: string, path: string, more = '') =>
    `{ speaks: ${speaks}, url: "${host.url}${path}", key: up, timeout: { idle: 3s }${more} }`;
  gateway = await startGateway(`
providers:
  ch: ${at('openai-chat', '/v1')}
  re: ${at('openai-responses', '/v1')}
  an: ${at('anthropic-messages', '/v1')}
  ge: ${at('gemini', '/v1beta')}
  co: ${at('openai-completions', '/v1')}
  mistral: ${at('openai-chat', '/v1')}
  deepseek: ${at('openai-chat', '/v1')}
models:
${Object.entries(routes)
  .map(
    ([name, written]) =>
      `  ${name}: ${written.replaceAll('"mi/', '"mistral/').replaceAll('"de/', '"deepseek/')}`,
  )
  .join('\n')}
prices:
  ${named.twice!.ids.map((id) => `"${id}": { input: 10, output: 100 }`).join('\n  ')}
`);
  // That a storm of retries is held back is tested elsewhere.
  gateway.app.gateway.retries.take = () => true;
  speakers = speakersAt(gateway.url, key);
  speakers['openai-completions'] = { ...speakers['openai-chat']!, streamed: hearCompletion };
});

afterAll(async () => {
  await gateway.stop();
  await host.stop();
});

async function hearCompletion(model: string): Promise<Heard> {
  const stream = await gateway.openai.completions.create({
    model,
    prompt: 'Tell me the story. ',
    stream: true,
    stream_options: { include_usage: true },
  });
  const heard: Heard = {
    text: '',
    thought: '',
    calls: [],
    stop: 'other',
    usage: { input: -1, cached: 0, output: -1 },
    turn: undefined,
  };
  for await (const { choices, usage } of stream) {
    heard.text += choices[0]?.text ?? '';
    if (choices[0]?.finish_reason === 'stop') heard.stop = 'end';
    if (usage) heard.usage = { input: usage.prompt_tokens, cached: 0, output: usage.completion_tokens };
  }
  return heard;
}

const hear = (client: string, model: string, more: Partial<Talk> = {}): Promise<Heard> =>
  speakers[client]!.streamed(model, { ...talk, ...more });

/** The attempts of the only call of a route. */
async function attemptsOf({ ids }: { ids: string[] }): Promise<AttemptRow[]> {
  const known = new Set(ids.map((id) => id.replace(/^mi\//, 'mistral/')));
  const rows = (await gateway.attempts()).filter(({ target }) => known.has(target));
  expect(new Set(rows.map(({ call }) => call)).size).toBe(1);
  expect(rows.map(({ final }) => final)).toEqual(rows.map((_, i) => (i === rows.length - 1 ? 1 : 0)));
  return rows.filter(({ outcome }) => outcome !== 'upstream_stale');
}

const outcomesOf = (rows: AttemptRow[]): Settled['outcome'][] =>
  rows.map(({ outcome }) => outcome as Settled['outcome']);

describe.each(
  matrix.map((each) => [each.client, each.first, each.verb, each.second, each.way, each] as const),
)('%s client: %s breaks off (%s), %s goes on by %s', (client, _first, _verb, _second, way, each) => {
  test.concurrent('and the client hears one answer', async () => {
    const heard = await hear(client, each.model);
    expect(heard.text).toBe(story);
    expect(heard.stop).toBe('end');
    const [asked] = host.of(each.ids[1]!.slice(3));
    expect(asked?.way).toBe(way);
    const rows = await attemptsOf(each);
    expect(rows.map(({ target }) => target)).toEqual(each.ids.map((id) => id.replace(/^mi\//, 'mistral/')));
    expect(outcomesOf(rows)[0]).toStartWith('upstream_');
    expect(outcomesOf(rows)[1]).toBe('ok');
    expect(rows[0]).toMatchObject({ estimated: 1, client_status: 0 });
    expect(rows[1]).toMatchObject({ estimated: 0, client_status: 200, input: 100, output: 50 });
    // What the client is told: the input of the first, the output of all.
    expect(heard.usage.output).toBe(rows[0]!.output + 50);
    expect(heard.usage.input).toBe(rows[0]!.input);
  });
});

test.concurrent.each(stalls.map((each) => [each.client, each] as const))(
  '%s client: a provider that falls silent is gone on for',
  async (client, each) => {
    const heard = await hear(client, each.model);
    expect(heard.text).toBe(story);
    expect(outcomesOf(await attemptsOf(each))).toEqual(['upstream_timeout', 'ok']);
  },
  20_000,
);

describe('the stream', () => {
  const bodyOf = async (path: string, body: object): Promise<string> =>
    (await gateway.post(path, body)).text();
  const messages = [{ role: 'user', content: 'Tell me the story.' }];
  /** Routes of the matrix are there to be asked again. */
  const of = (client: Client, first: string) =>
    matrix.find((each) => each.client === client && each.first === first && each.verb === 'cut:40')!.model;

  test.each(['ch', 'an'])(
    'of Chat Completions has one id, one role, one finish and one end (%s)',
    async (first) => {
      const text = await bodyOf('/v1/chat/completions', {
        model: of('openai-chat', first),
        stream: true,
        messages,
      });
      const data = text
        .split('\n')
        .flatMap((line) => (line.startsWith('data: {') ? [JSON.parse(line.slice(6))] : []));
      expect(new Set(data.map(({ id }) => id)).size).toBe(1);
      expect(new Set(data.map(({ model }) => model)).size).toBe(1);
      expect(new Set(data.map(({ created }) => created)).size).toBe(1);
      const choices = data.flatMap((chunk) => chunk.choices);
      expect(choices.filter(({ delta }) => delta.role !== undefined)).toHaveLength(1);
      expect(choices.filter(({ finish_reason }) => finish_reason !== null)).toHaveLength(1);
      expect(text.match(/\[DONE\]/g)).toHaveLength(1);
      expect(text).toContain('\n\n: sluice-resumed target=ch/');
    },
  );

  test.each(['re', 'ch'])('of Responses counts on, in one message (%s)', async (first) => {
    const text = await bodyOf('/v1/responses', {
      model: of('openai-responses', first),
      stream: true,
      input: 'Tell.',
    });
    const data = text
      .split('\n')
      .flatMap((line) => (line.startsWith('data: {') ? [JSON.parse(line.slice(6))] : []));
    expect(data.map(({ sequence_number }) => sequence_number)).toEqual(data.map((_, i) => i));
    const items = new Set(data.flatMap(({ item_id }) => item_id ?? []));
    expect(items.size).toBe(1);
    const { response } = data.at(-1);
    expect(response.status).toBe('completed');
    expect(response.id).toBe(data[0].response.id);
    expect(response.output.map(({ id }: { id: string }) => id)).toEqual([...items]);
    expect(response.output[0].content[0].text).toBe(story);
  });

  test.each(['an', 'ge'])('of Anthropic Messages has one block of text (%s)', async (first) => {
    const body = { model: of('anthropic-messages', first), stream: true, max_tokens: 4096, messages };
    const text = await bodyOf('/v1/messages', body);
    const names = text.split('\n').flatMap((line) => (line.startsWith('event: ') ? [line.slice(7)] : []));
    const once = names.filter((name) => name !== 'content_block_delta');
    expect(once).toEqual([
      'message_start',
      'content_block_start',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  test.each(['ge', 'ch'])('of Gemini says so in a member of its own (%s)', async (first) => {
    const path = `/v1beta/models/${of('gemini', first)}:streamGenerateContent`;
    const contents = [{ role: 'user', parts: [{ text: 'Tell.' }] }];
    const text = await bodyOf(`${path}?alt=sse`, { contents });
    const lines = text.split(/\r?\n/).filter((line) => line !== '');
    expect(lines.every((line) => line.startsWith('data: {'))).toBe(true);
    expect(lines.filter((line) => line.includes('"sluice-resumed":"target=ch/'))).toHaveLength(1);
    expect(new Set(lines.map((line) => JSON.parse(line.slice(6)).responseId)).size).toBe(1);
    const array = JSON.parse(await bodyOf(path, { contents }));
    expect(array.filter((piece: object) => 'sluice-resumed' in piece)).toHaveLength(1);
  });
});

describe('what is shown', () => {
  test.concurrent('is all of a prompt, to a model that goes on with one', async () => {
    expect((await hear('openai-completions', named.prompt!.model)).text).toBe(story);
    expect(host.of(named.prompt!.ids[1]!.slice(3))[0]?.way).toBe('text');
  });

  test.concurrent('is not said again by a model that goes further back than it is told', async () => {
    expect((await hear('openai-chat', named.early!.model)).text).toBe(story);
  });

  test.concurrent('is not taken for all there is because a model has nothing to add', async () => {
    expect((await hear('openai-chat', named.silent!.model)).text).toBe(story);
    expect(outcomesOf(await attemptsOf(named.silent!))).toEqual([
      'upstream_invalid',
      'upstream_invalid',
      'ok',
    ]);
  });

  test.concurrent('is not interrupted by thoughts on how to go on', async () => {
    const heard = await hear('anthropic-messages', named.thinks!.model);
    expect(heard).toMatchObject({ text: story, thought: '' });
  });

  test.concurrent('counts against the limit of tokens', async () => {
    expect((await hear('anthropic-messages', named.limited!.model, { maxTokens: 2000 })).text).toBe(story);
    const [first] = await attemptsOf(named.limited!);
    const [, second] = host.asked.filter(({ model }) => model.startsWith(`${named.limited!.model}.`));
    expect(second?.request.maxTokens).toBe(2000 - first!.output);
  });

  test.concurrent('of JSON is gone on with by its own beginning only, and not held to a form twice', async () => {
    const schema = { type: 'object', properties: {}, additionalProperties: false };
    expect((await hear('openai-chat', named.json!.model, { schema })).text).toBe(story);
    const rows = await attemptsOf(named.json!);
    expect(rows.map(({ target }) => target)).toEqual([named.json!.ids[0]!, named.json!.ids[2]!]);
    const [asked] = host.of(named.json!.ids[2]!.slice(3));
    expect(asked?.request.format).toBeUndefined();
    expect(JSON.stringify(asked?.body)).toContain('JSON Schema');
    const thrown = await hear('openai-chat', named.jsonLost!.model, { schema }).catch((error) => error);
    expect(thrown).toBeInstanceOf(Error);
    // Nobody else could go on, and the one that broke off cannot either.
    expect(await attemptsOf(named.jsonLost!)).toHaveLength(1);
  });
});

describe('when it fails again', () => {
  test.concurrent('the next one goes on, and all of them are paid for', async () => {
    const heard = await hear('openai-responses', named.twice!.model);
    expect(heard.text).toBe(story);
    const rows = await attemptsOf(named.twice!);
    expect(rows.map(({ target }) => target)).toEqual(named.twice!.ids);
    expect(rows[1]!.input).toBe(rows[0]!.input + rows[0]!.output);
    for (const { input, output, nano_usd } of rows) expect(nano_usd).toBe(input * 10_000 + output * 100_000);
    expect(heard.usage.output).toBe(rows.reduce((sum, { output }) => sum + output, 0));
  });

  test.concurrent('or fails at all, it is no matter by which strategy', async () => {
    expect((await hear('anthropic-messages', named.hedged!.model)).text).toBe(story);
    expect(outcomesOf(await attemptsOf(named.hedged!))).toEqual(['upstream_invalid', 'ok']);
  });

  test.concurrent('those that refuse are passed over', async () => {
    expect((await hear('openai-chat', named.refused!.model)).text).toBe(story);
    const rows = await attemptsOf(named.refused!);
    expect(outcomesOf(rows)).toEqual(['upstream_invalid', 'upstream_overloaded', 'upstream_invalid', 'ok']);
  });

  test.concurrent('those that refuse to be asked so are not taken for the end of it', async () => {
    expect((await hear('gemini', named.refusedWords!.model)).text).toBe(story);
    expect(outcomesOf(await attemptsOf(named.refusedWords!))).toEqual([
      'upstream_invalid',
      'upstream_bad_request',
      'ok',
    ]);
  });

  test.concurrent('and nobody is left, the one that broke off is asked once more, and then it is said', async () => {
    const thrown = await hear('anthropic-messages', named.down!.model).catch((error) => error);
    expect(thrown.message).toContain('before the answer was complete');
    const rows = await attemptsOf(named.down!);
    expect(outcomesOf(rows)).toEqual(['upstream_invalid', 'upstream_overloaded', 'upstream_invalid']);
    expect(rows.at(-1)?.client_status).toBe(200);
  });

  test.concurrent('a target without others goes on itself', async () => {
    const stream = await gateway.openai.chat.completions.create({
      model: named.alone!.model,
      stream: true,
      messages: [{ role: 'user', content: 'Tell me the story.' }],
    });
    let text = '';
    const reading = (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    })();
    await expect(reading).rejects.toThrow('before the answer was complete');
    expect(story).toStartWith(text);
    // Twice what it says before it breaks off, less the words it was asked to repeat.
    expect(text.length).toBeGreaterThan(40 * 9 + 200);
    expect(outcomesOf(await attemptsOf(named.alone!))).toEqual(['upstream_invalid', 'upstream_invalid']);
  });
});

describe('a route that does not want it', () => {
  test.concurrent.each(['never', 'restart'])('says what happened (%s)', async (how) => {
    const thrown = await hear('openai-chat', named[how]!.model).catch((error) => error);
    expect(thrown.message).toContain('before the answer was complete');
    expect(await attemptsOf(named[how]!)).toHaveLength(1);
  });

  test.concurrent('but an answer made anew gets one where nothing but thoughts were shown', async () => {
    const heard = await hear('anthropic-messages', named.thought!.model, { thinks: true });
    expect(heard.text).toBe(story);
    expect(heard.thought).toBe('Once upon a time there was a thought.How did it go on?');
    const [asked] = host.of(named.thought!.ids[1]!.slice(3));
    expect(asked?.way).toBeUndefined();
    expect(asked?.request.messages).toHaveLength(1);
  });

  test.concurrent('and not from a target that has to be told in words which form it is to have', async () => {
    const schema = { type: 'object', properties: {}, additionalProperties: false };
    const heard = await hear('anthropic-messages', named.thoughtForm!.model, { thinks: true, schema });
    expect(heard.text).toBe(story);
    const rows = await attemptsOf(named.thoughtForm!);
    // Nobody looks whether what passes on its way is in the form.
    expect(rows.map(({ target }) => target)).toEqual([
      named.thoughtForm!.ids[0]!,
      named.thoughtForm!.ids[2]!,
    ]);
  });
});

describe('a tool call', () => {
  const tools = [tool];

  test.concurrent.each([
    ['anthropic-messages', 'half'],
    ['openai-chat', 'half'],
    ['openai-responses', 'half'],
    ['anthropic-messages', 'halfRelayed'],
    // Whether a call goes on is known there only by what follows.
    ...(forced ? [] : [['gemini', 'wholeSilent'] as const]),
  ])('of which half was shown ends in an error (%s, %s)', async (client, name) => {
    const thrown = await hear(client, named[name]!.model, { tools }).catch((error) => error);
    expect(thrown).toBeInstanceOf(Error);
    expect(host.of(named[name]!.ids[1]!.slice(3))).toHaveLength(0);
  });

  test.concurrent('of which nothing was shown is made anew', async () => {
    const heard = await hear('gemini', named.halfHeld!.model, { tools });
    expect(heard.text).toBe(story.slice(0, 90));
    expect(heard.calls.map(({ input }) => input)).toEqual([{ at: 1 }, { at: 2 }]);
    expect(heard.stop).toBe('calls');
  });

  test.concurrent.each([
    ['anthropic-messages', 'whole'],
    ['openai-chat', 'whole'],
    ['openai-responses', 'wholeOpen'],
    ['openai-chat', 'wholeOpen'],
  ])('that is whole stands, and is not made again (%s, %s)', async (client, name) => {
    const heard = await hear(client, named[name]!.model, { tools });
    expect(heard.text).toBe(story.slice(0, 90));
    expect(heard.calls.map(({ input }) => input)).toEqual([{ at: 1 }, { at: 2 }]);
    expect(new Set(heard.calls.map(({ id }) => id)).size).toBe(2);
    expect(heard.stop).toBe('calls');
  });
});

test('a client that leaves stops whoever goes on', async () => {
  const { model } = named.leaves!;
  const leaving = new AbortController();
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Tell.' }] }),
    signal: leaving.signal,
  });
  const reader = response.body!.getReader();
  let text = '';
  while (!text.includes('sluice-resumed')) text += Buffer.from((await reader.read()).value ?? []).toString();
  leaving.abort();
  await until(
    async () =>
      (await gateway.attempts()).filter(({ target }) => named.leaves!.ids.includes(target)).length === 2,
  );
  const rows = await attemptsOf(named.leaves!);
  expect(outcomesOf(rows)).toEqual(['upstream_invalid', 'cancelled']);
  expect(rows[1]?.client_status).toBe(499);
  await until(() => gateway.app.gateway.inflight.count === 0);
});

test('it is counted how often that went well', async () => {
  const numberOf = async (result: string): Promise<number> => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    return Number(new RegExp(`sluice_stream_resumes_total\\{result="${result}"\\} (\\d+)`).exec(text)?.[1]);
  };
  const [well, badly] = [await numberOf('resumed'), await numberOf('failed')];
  await hear('openai-chat', named.early!.model);
  await hear('openai-chat', named.jsonLost!.model, { schema: { type: 'object' } }).catch(() => {});
  expect(await numberOf('resumed')).toBe(well + 1);
  expect(await numberOf('failed')).toBe(badly + 1);
});

test('the built-in mock goes on with its own words, for a first try without any account', async () => {
  const mock = await startGateway(
    "providers: { mock: }\nmodels: { m: { fallback: ['mock/cut:chunks=10', 'mock/echo:chunks=10'], resume: continue } }",
  );
  try {
    const content = 'Please say: all the lights of the harbour are on.';
    const stream = await mock.openai.chat.completions.create({
      model: 'm',
      stream: true,
      messages: [{ role: 'user', content }],
    });
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    expect(text).toBe(content);
  } finally {
    await mock.stop();
  }
});
