/** Whatever the gateway writes is of the types that the vendors publish with their clients. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Json, JsonObject } from '../../src/core/json.ts';
import type { ClientDialect } from '../../src/dialects/dialect.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { checkTypes, type PublishedType, type Specimen, shapeOf } from '../conformance/published-types.ts';
import { type RawWish, rawRequest } from '../conformance/raw-requests.ts';
import { raiseStage, replayed, type Stage } from '../conformance/replayed.ts';
import { readStream, tryFold, writeText } from '../laws/reading.ts';
import { responses, streams } from '../laws/samples.ts';
import { throwsKind } from '../laws/verdict.ts';
import { sseEvents } from '../recordings.ts';
import { forced, key } from './gateway.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await raiseStage(key);
});
afterAll(() => stage.stop());

interface Types {
  whole: PublishedType;
  event: PublishedType;
  error: PublishedType;
  list: PublishedType;
  item: PublishedType;
  count?: PublishedType;
}

const openai = { error: 'OpenAIError', list: 'OpenAIModels', item: 'OpenAIModel' } as const;
const types: Readonly<Record<string, Types>> = {
  'openai-chat': { ...openai, whole: 'ChatCompletion', event: 'ChatCompletionChunk' },
  'openai-completions': { ...openai, whole: 'Completion', event: 'CompletionChunk' },
  'openai-responses': { ...openai, whole: 'Response', event: 'ResponseStreamEvent', count: 'InputTokens' },
  'anthropic-messages': {
    whole: 'Message',
    event: 'RawMessageStreamEvent',
    error: 'ErrorResponse',
    list: 'ModelInfos',
    item: 'ModelInfo',
    count: 'MessageTokensCount',
  },
  gemini: {
    whole: 'GenerateContentResponse',
    event: 'GenerateContentResponse',
    error: 'GoogleError',
    list: 'GoogleModels',
    item: 'GoogleModel',
    count: 'CountTokensResponse',
  },
};

/** Specimens of distinct shapes. */
class Collection {
  private readonly specimens = new Map<string, Specimen>();

  add(name: string, type: PublishedType, value: Json): void {
    const shape = shapeOf(value);
    const id = `${type} ${JSON.stringify(shape)}`;
    if (!this.specimens.has(id)) this.specimens.set(id, { name, type, value: shape });
  }

  addStream(name: string, { event, error }: Types, text: string): void {
    for (const { data } of sseEvents(text)) {
      if (data === '[DONE]') continue;
      const value: JsonObject = JSON.parse(data);
      this.add(name, value.error !== undefined && value.type === undefined ? error : event, value);
    }
  }

  async addAnswer(name: string, is: Types, answer: Response): Promise<void> {
    const text = await answer.text();
    if (!answer.ok) this.add(name, is.error, JSON.parse(text));
    else if (answer.headers.get('content-type')?.includes('event-stream')) this.addStream(name, is, text);
    else this.add(name, is.whole, JSON.parse(text));
  }

  /** @param beyond what is wrong, and rightly so. */
  async expectTypes(beyond: readonly RegExp[] = []): Promise<void> {
    expect(this.specimens.size).toBeGreaterThan(0);
    const wrong = await checkTypes([...this.specimens.values()]);
    expect(wrong.filter((each) => !beyond.some((known) => known.test(each)))).toEqual([]);
    expect(beyond.filter((known) => !wrong.some((each) => known.test(each)))).toEqual([]);
  }
}

const found = new Collection();

const schema = {
  type: 'object',
  properties: { name: { type: 'string' } },
  required: ['name'],
  additionalProperties: false,
};

/** All that answers have in them. */
const said: readonly Omit<RawWish, 'stream'>[] = [
  ...['echo', 'reason', 'refuse', 'length', 'empty', 'no-usage'].map((model) => ({ model })),
  ...['tool:calls=2', 'tool:think=true'].map((model) => ({ model, tools: ['weather', 'time'] })),
  { model: 'json', schema },
];

/** All that can go wrong, before the answer and in it; told in the gateway's own words, whoever fails. */
const failures: readonly string[] = [
  'html', 'status:429', 'status:500', 'status:529', 'error:context_length', 'error:content_filter', 'error:auth',
  'error:not_found', 'error:timeout', 'error-event:after=3,delay=1ms', 'cut:3,delay=1ms', 'malformed:after=3,delay=1ms',
]; // biome-ignore format: one list

/** The same words are written in either pass. */
const once = test.skipIf(forced);

once('answers, events and errors of every client dialect', async () => {
  const asks: (() => Promise<void>)[] = [];
  const ask = (client: ClientDialect, wish: RawWish): void => {
    const { path, body } = rawRequest(client, wish);
    asks.push(async () => {
      const answer = await stage.gateway.post(path, body);
      await found.addAnswer(`${client.name}: ${wish.model}`, types[client.name]!, answer);
    });
  };
  for (const client of clientDialects) {
    // Answers in the client's own dialect are the provider's.
    const providers = [...dialects.keys()].filter((name) => name !== client.name);
    for (const stream of [false, true]) {
      for (const provider of providers) {
        for (const wish of said) ask(client, { ...wish, model: `${provider}/${wish.model}`, stream });
      }
      for (const failure of failures) ask(client, { model: `${providers[0]}/${failure}`, stream });
    }
    for (const { dialect, model, streamed } of replayed) {
      if (dialect !== client.name) ask(client, { model, stream: streamed });
    }
  }
  while (asks.length > 0) await Promise.all(asks.splice(0, 16).map((each) => each()));
});

once('answers of every kind there is an example of', async () => {
  for (const client of clientDialects) {
    const is = types[client.name]!;
    for (const { fixture, dialect, name, content, quirks } of responses) {
      if (!fixture || dialect.name === client.name) continue;
      if (throwsKind(() => dialect.readResponse(content, quirks)) !== undefined) continue;
      const answer = dialect.readResponse(content, quirks);
      found.add(`${client.name}: ${name}`, is.whole, client.writeResponse(answer));
    }
    for (const sample of streams) {
      const events = readStream(sample);
      if (!sample.fixture || sample.dialect.name === client.name) continue;
      if (tryFold(events, sample.dialect.name) === undefined) continue;
      found.addStream(`${client.name}: ${sample.name}`, is, writeText(client, events));
    }
  }
});

once(
  'lists of models, single ones, counts of tokens, and what is refused before anybody is asked',
  async () => {
    for (const client of clientDialects) {
      const is = types[client.name]!;
      const [models = '/v1/models'] = client.modelsPaths ?? [];
      const as = {
        authorization: `Bearer ${key}`,
        ...(client.clientHeader && { [client.clientHeader]: '1' }),
      };
      const list = await fetch(stage.gateway.url + models, { headers: as });
      found.add(client.name, is.list, (await list.json()) as Json);
      const item = await fetch(`${stage.gateway.url}${models}/${encodeURIComponent('ollama/echo')}`, {
        headers: as,
      });
      found.add(client.name, is.item, (await item.json()) as Json);
      if (is.count !== undefined) found.add(client.name, is.count, client.counting!.write(7));
      const { path, body } = rawRequest(client, { model: 'no-such-model', stream: false });
      const wrong: [string | object, Record<string, string>][] = [
        [body, {}],
        ['{', {}],
        [{}, {}],
        [body, { authorization: 'Bearer wrong' }],
      ];
      for (const [sent, headers] of wrong) {
        const answer = await stage.gateway.post(path, sent, { ...as, ...headers });
        expect(answer.ok).toBe(false);
        await found.addAnswer(client.name, is, answer);
      }
    }
  },
);

once('are of the published types', async () => {
  await found.expectTypes([
    // Chunks have such calls, their published type does not.
    /^ChatCompletionChunk of .*tools-custom.*'"custom"'/,
    // Claude does not draw. Who asks another model to, in Claude's words, gets what it drew.
    /^(Message|RawMessageStreamEvent) of .*image.*'"image"'/,
  ]);
});
