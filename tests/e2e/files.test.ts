/** Files and batches through the official clients: kept by one provider, seen by one team, charged once. */
import { afterAll, beforeAll, describe, expect, setSystemTime, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import { FileState, GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { type AttemptRow, startGateway, type TestGateway, until } from './gateway.ts';
import { type FakeKeeper, startKeeper } from './keeper.ts';

let keeper: FakeKeeper;
let gateway: TestGateway;
let config: string;
const dataDir = mkdtempSync(join(tmpdir(), 'sluice-test-'));

beforeAll(async () => {
  keeper = startKeeper();
  config = `
body_limit: 1mb
file_limit: 8mb
providers:
  openai: { url: "${keeper.base}", keys: [up-1, up-2, up-3] }
  claude: { like: anthropic, url: "${keeper.base}", keys: [an-1, an-2] }
  gemini: { url: "${keeper.url}/v1beta", keys: [ge-1, ge-2] }
  acme: { speaks: openai-chat, url: "${keeper.base}", key: acme }
models: { fast: openai/gpt-4o-mini }
prices: { acme/house: { input: 1, output: 1 } }
teams: { web: { organisation: shop }, other: { organisation: shop }, rare: {} }
keys:
  - { name: test, key: sk-test-key, team: web }
  - { name: colleague, key: sk-colleague, team: web }
  - { name: stranger, key: sk-stranger, team: other }
  - { name: narrow, key: sk-narrow, team: web, models: [fast, "openai/gpt-4o-mini"] }
  - { name: poor, key: sk-poor, team: web, limits: [{ usd: 1, per: day }] }
  - { name: rare, key: sk-rare, team: rare, limits: [{ requests: 3, per: day }, { concurrency: 1 }] }
  - { name: gone, key: sk-gone, team: web, models: ["claude/*"] }
`;
  gateway = await startGateway(config, { dataDir });
});

afterAll(async () => {
  await gateway.stop();
  await keeper.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const openai = (apiKey = 'sk-test-key', defaultHeaders = {}): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0, defaultHeaders });
const anthropic = (apiKey = 'sk-test-key'): Anthropic =>
  new Anthropic({ apiKey, baseURL: gateway.url, maxRetries: 0 });
const google = (apiKey = 'sk-test-key'): GoogleGenAI =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: gateway.url } });

const upload = (client = openai(), content = 'content', purpose: OpenAI.FilePurpose = 'user_data') =>
  client.files.create({ file: new File([content], 'notes.txt'), purpose });
const chatLine = (model: string, more: JsonObject = {}): string =>
  JSON.stringify({
    custom_id: 'one',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: [{ role: 'user', content: 'Hi.' }], ...more },
  });
const startBatch = async (client = openai(), content = `${chatLine('gpt-4o-mini')}\n`) =>
  client.batches.create({
    input_file_id: (await upload(client, content, 'batch')).id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
/** What an asked-for thing fails with. */
const failure = async (asked: Promise<unknown>): Promise<{ status?: number; message: string }> =>
  asked.then(
    () => ({ message: 'no error' }),
    (error) => error,
  );
const accounts = (path: string): string[] => [
  ...new Set(keeper.requests.filter((each) => each.path.includes(path)).map(({ account }) => account)),
];

describe('files, as OpenAI has them', () => {
  test('are uploaded, read, listed, downloaded and deleted', async () => {
    const file = await upload(openai(), 'Zoë 🚰');
    expect(file).toMatchObject({ object: 'file', filename: 'notes.txt', purpose: 'user_data', bytes: 9 });
    expect(keeper.content(file.id)).toBe('Zoë 🚰');
    expect(await openai().files.retrieve(file.id)).toMatchObject({ id: file.id });
    const content = await openai().files.content(file.id);
    expect(await content.text()).toBe('Zoë 🚰');
    expect(content.headers.get('x-sluice-provider')).toBe('openai');
    expect(content.headers.get('content-security-policy')).toBe('sandbox');
    expect((await Array.fromAsync(openai().files.list())).map(({ id }) => id)).toContain(file.id);
    expect(await openai().files.delete(file.id)).toMatchObject({ id: file.id, deleted: true });
    expect(await failure(openai().files.retrieve(file.id))).toMatchObject({ status: 404 });
    expect((await Array.fromAsync(openai().files.list())).map(({ id }) => id)).not.toContain(file.id);
  });

  test('belong to a team', async () => {
    const file = await upload();
    expect(await openai('sk-colleague').files.retrieve(file.id)).toMatchObject({ id: file.id });
    const stranger = openai('sk-stranger');
    expect(await failure(stranger.files.retrieve(file.id))).toMatchObject({ status: 404 });
    expect(await failure(stranger.files.content(file.id))).toMatchObject({ status: 404 });
    expect(await failure(stranger.files.delete(file.id))).toMatchObject({ status: 404 });
    expect(await Array.fromAsync(stranger.files.list())).toEqual([]);
    expect(
      await failure(
        stranger.batches.create({
          input_file_id: file.id,
          endpoint: '/v1/responses',
          completion_window: '24h',
        }),
      ),
    ).toMatchObject({ status: 404 });
    // What nobody is known to have sounds just the same.
    const [foreign, unknown] = [
      await failure(stranger.files.retrieve(file.id)),
      await failure(stranger.files.retrieve('file-nope')),
    ];
    expect(foreign.message.replaceAll(file.id, 'X')).toBe(unknown.message.replaceAll('file-nope', 'X'));
  });

  test('are found with the key they were made with', async () => {
    const before = accounts('/v1/files').length;
    const files = [await upload(), await upload(), await upload(), await upload()];
    expect(accounts('/v1/files').length).toBeGreaterThanOrEqual(Math.max(3, before));
    for (let i = 0; i < 2; i++) {
      for (const { id } of files) expect(await openai().files.retrieve(id)).toMatchObject({ id });
    }
  });

  test('are listed page by page, newest first or last, by purpose, and on from one that was deleted', async () => {
    const client = openai('sk-rare-list');
    expect(await failure(client.files.list())).toMatchObject({ status: 401 });
    const lister = openai('sk-stranger');
    const made: string[] = [];
    // All in the same millisecond.
    setSystemTime(new Date());
    for (let i = 0; i < 5; i++)
      made.push((await upload(lister, `${i}`, i === 2 ? 'vision' : 'user_data')).id);
    setSystemTime();
    const newest = [...made].reverse();
    const page = await lister.files.list({ limit: 2 });
    expect(page.data.map(({ id }) => id)).toEqual(newest.slice(0, 2));
    expect(page.has_more).toBeTrue();
    await lister.files.delete(newest[1]!);
    const second = await page.getNextPage();
    expect(second.data.map(({ id }) => id)).toEqual(newest.slice(2, 4));
    const rising = await Array.fromAsync(lister.files.list({ order: 'asc', limit: 2 }));
    expect(rising.map(({ id }) => id)).toEqual(made.filter((id) => id !== newest[1]));
    const vision = await lister.files.list({ purpose: 'vision', limit: 1 });
    expect(vision.data.map(({ id }) => id)).toEqual([made[2]!]);
    expect(vision.has_more).toBeFalse();
    expect(await failure(lister.files.list({ after: 'file-nope' }))).toMatchObject({ status: 400 });
    expect(await failure(lister.files.list({ limit: -1 }))).toMatchObject({ status: 400 });
  });

  test('pass through without being held, up to their own limit', async () => {
    const large = new File([new Uint8Array(4 * 1024 * 1024).fill(97)], 'large.bin');
    const file = await openai().files.create({ file: large, purpose: 'user_data' });
    expect(file.bytes).toBe(4 * 1024 * 1024);
    const larger = new File([new Uint8Array(9 * 1024 * 1024)], 'larger.bin');
    expect(await failure(openai().files.create({ file: larger, purpose: 'user_data' }))).toMatchObject({
      status: 413,
    });
  });

  test('that are cut off on their way are none, and nothing goes on for them', async () => {
    const before = keeper.requests.length;
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: Number(new URL(gateway.url).port),
      socket: { data() {} },
    });
    socket.write(
      'POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-test-key\r\ncontent-length: 1000\r\n' +
        'content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n',
    );
    await until(() => keeper.requests.length > before);
    socket.terminate();
    const inFlight = async () =>
      (await (await fetch(`${gateway.url}/metrics`)).text()).match(/in_flight (\d+)/)?.[1];
    await until(async () => (await inFlight()) === '0');
  });

  test('are refused before they are sent, where nobody takes them', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 1000; i++) yield new Uint8Array(16 * 1024);
    }
    const response = await fetch(`${gateway.url}/v1/files`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-gone', 'content-type': 'multipart/form-data; boundary=b' },
      body: endless() as unknown as ReadableStream,
    });
    expect(response.status).toBe(400);
  });

  test('are refused without a key, and where nothing is', async () => {
    expect((await fetch(`${gateway.url}/v1/files`)).status).toBe(401);
    const headers = { authorization: 'Bearer sk-test-key' };
    expect((await fetch(`${gateway.url}/v1/files`, { method: 'PUT', headers })).status).toBe(405);
    expect((await fetch(`${gateway.url}/v1/files/file-1/nothing`, { headers })).status).toBe(404);
    expect((await fetch(`${gateway.url}/v1/files/%E0%A4%A`, { headers })).status).toBe(404);
    expect((await fetch(`${gateway.url}/v1/files/..%2Fbatches%2Fx`, { headers })).status).toBe(404);
  });

  test('a provider that is named has to be one that is configured, and allowed', async () => {
    const at = async (name: string, key?: string) =>
      failure(upload(openai(key, { 'x-sluice-provider': name })));
    expect(await at('nope')).toMatchObject({ status: 400 });
    expect((await at('nope')).message).toContain('openai or acme');
    expect(await at('claude')).toMatchObject({ status: 400 });
    expect(await at('acme', 'sk-narrow')).toMatchObject({ status: 403 });
    expect(await failure(upload(openai('sk-gone')))).toMatchObject({ status: 400 });
    const file = await upload(openai('sk-test-key', { 'x-sluice-provider': 'acme' }));
    expect(keeper.requests.at(-1)).toMatchObject({ account: 'acme' });
    expect(await openai().files.retrieve(file.id)).toMatchObject({ id: file.id });
    expect(keeper.requests.at(-1)).toMatchObject({ account: 'acme' });
  });

  test('count against limits of requests', async () => {
    const client = openai('sk-rare');
    const file = await upload(client);
    await client.files.content(file.id).then((content) => content.text());
    await client.files.retrieve(file.id);
    expect(await failure(client.files.retrieve(file.id))).toMatchObject({ status: 429 });
  });
});

describe('files that requests name', () => {
  const ask = (client: OpenAI, id: string, model = 'fast') =>
    client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: id } }] }],
    });

  test('are read with the key they were made with', async () => {
    for (let i = 0; i < 4; i++) {
      const file = await upload();
      const { account } = keeper.requests.at(-1)!;
      expect((await ask(openai(), file.id)).choices[0]!.message.content).toBe(account);
    }
  });

  test('of somebody else are not there, however they are named', async () => {
    const { id } = await upload();
    const escaped = `\\u0066${id.slice(1)}`;
    const bodies = [
      `{"model":"fast","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"${id}"}}]}]}`,
      `{"model":"fast","messages":[{"role":"user","content":[{"type":"file","file":{"file\\u005fid":"${id}"}}]}]}`,
      `{"model":"fast","messages":[{"role":"user","content":[{"type":"file","file":{"file_id" : "${escaped}"}}]}]}`,
      `{"model":"fast","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"${id}","file_id":"file-x"}}]}]}`,
      `{"model":"fast","messages":[{"role":"user","content":"Hi."}],"tools":[{"type":"code_interpreter","container":{"file_ids":["file-x","${id}"]}}]}`,
    ];
    const before = keeper.requests.length;
    for (const body of bodies) {
      const response = await gateway.post('/v1/chat/completions', body, {
        authorization: 'Bearer sk-stranger',
      });
      expect(response.status).toBe(404);
      expect(((await response.json()) as { error: { message: string } }).error.message).toContain('no file');
    }
    expect(keeper.requests.length).toBe(before);
    expect((await ask(openai('sk-stranger'), 'file-nobody-knows')).choices).toHaveLength(1);
  });

  test('are not asked of a provider that has not got them', async () => {
    const { id } = await upload();
    const refused = await failure(ask(openai(), id, 'acme/house'));
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.message).toContain('openai keeps');
  });

  test('are guarded in the other shapes too', async () => {
    const file = await anthropic().beta.files.upload({ file: new File(['x'], 'x.txt') });
    const content = [{ type: 'document' as const, source: { type: 'file' as const, file_id: file.id } }];
    const params = {
      model: 'claude/claude-haiku-4-5',
      max_tokens: 10,
      messages: [{ role: 'user' as const, content }],
      betas: ['files-api-2025-04-14' as const],
    };
    expect(await failure(anthropic('sk-stranger').beta.messages.create(params))).toMatchObject({
      status: 404,
    });
    expect(await failure(anthropic('sk-stranger').beta.messages.countTokens(params))).toMatchObject({
      status: 404,
    });
    const { account } = keeper.requests.findLast(({ path }) => path === '/v1/files')!;
    expect((await anthropic().beta.messages.create(params)).content).toEqual([
      { type: 'text', text: account },
    ] as never);
    const up = await google().files.upload({ file: new Blob(['x'], { type: 'text/plain' }) });
    const contents = [{ role: 'user', parts: [{ fileData: { fileUri: up.uri!, mimeType: 'text/plain' } }] }];
    expect(
      await failure(
        google('sk-stranger').models.generateContent({ model: 'gemini/gemini-2.5-flash', contents }),
      ),
    ).toMatchObject({ status: 404 });
  });
});

describe('batches, as OpenAI has them', () => {
  const usage = {
    input_tokens: 1000,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 500,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 1500,
  };

  test('are started, followed, cancelled, listed; their results are the team’s', async () => {
    const batch = await startBatch();
    expect(batch).toMatchObject({ object: 'batch', status: 'in_progress' });
    expect(await openai('sk-colleague').batches.retrieve(batch.id)).toMatchObject({ id: batch.id });
    keeper.finish(batch.id, [{ custom_id: 'one' }], { usage, model: 'gpt-4o-mini-2024-07-18' });
    // A list tells what is, not what was when the batch was seen last.
    const listed = (await Array.fromAsync(openai().batches.list({ limit: 1 }))).find(
      ({ id }) => id === batch.id,
    );
    expect(listed?.status).toBe('completed');
    const output = listed!.output_file_id!;
    expect(await (await openai().files.content(output)).text()).toBe('{"custom_id":"one"}\n');
    expect(
      (await Array.fromAsync(openai().files.list({ purpose: 'batch_output' }))).map(({ id }) => id),
    ).toEqual([output]);
    const stranger = openai('sk-stranger');
    expect(await failure(stranger.batches.retrieve(batch.id))).toMatchObject({ status: 404 });
    expect(await failure(stranger.batches.cancel(batch.id))).toMatchObject({ status: 404 });
    expect(await failure(stranger.files.content(output))).toMatchObject({ status: 404 });
    expect((await stranger.batches.list()).data).toEqual([]);
    const other = await startBatch();
    expect(await openai().batches.cancel(other.id)).toMatchObject({ status: 'cancelling' });
    expect(await failure(openai().delete(`/batches/${other.id}`))).toMatchObject({ status: 405 });
  });

  test('are charged once, to whoever started them, at the price of batches', async () => {
    const { data: batch, response } = await openai('sk-colleague', { 'x-sluice-tags': 'job=night' })
      .batches.create({
        input_file_id: (await upload(openai('sk-colleague'), chatLine('gpt-4o-mini'), 'batch')).id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      })
      .withResponse();
    const call = response.headers.get('x-request-id');
    expect(await gateway.attemptsOf(call)).toEqual([]);
    keeper.finish(batch.id, [], { usage, model: 'gpt-4o-mini-2024-07-18' });
    for (let i = 0; i < 3; i++) await openai().batches.retrieve(batch.id);
    await until(async () => (await gateway.attemptsOf(call)).length > 0);
    await openai().batches.retrieve(batch.id);
    const rows = await gateway.attemptsOf(call);
    expect(rows).toHaveLength(1);
    // Half of 1000 × $0.15 and 500 × $0.60 for a million.
    expect(rows[0]).toMatchObject({
      key: 'colleague',
      team: 'web',
      target: 'openai/gpt-4o-mini-2024-07-18',
      operation: 'batch',
      tags: 'job=night',
      final: 1,
      estimated: 0,
      input: 1000,
      output: 500,
      nano_usd: (1000 * 150 + 500 * 600) / 2,
    } satisfies Partial<AttemptRow>);
  });

  test('are added up from their results where the provider does not, and marked where the price is not that of batches', async () => {
    const client = openai('sk-test-key', { 'x-sluice-provider': 'acme' });
    const lines = `${chatLine('house')}\n${chatLine('other')}\n`;
    const { data: batch, response } = await client.batches
      .create({
        input_file_id: (await upload(client, lines, 'batch')).id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      })
      .withResponse();
    const answered = (model: string, tokens: number): Json => ({
      response: {
        status_code: 200,
        body: { model, usage: { prompt_tokens: tokens, completion_tokens: 1, total_tokens: tokens + 1 } },
      },
    });
    keeper.finish(batch.id, [
      answered('house', 10),
      answered('other', 7),
      answered('house', 5),
      { error: { code: 'x' } },
    ]);
    await client.batches.retrieve(batch.id);
    const call = response.headers.get('x-request-id');
    await until(async () => (await gateway.attemptsOf(call)).length > 1);
    expect(
      (await gateway.attemptsOf(call)).map(({ target, input, output, estimated, nano_usd, final }) => ({
        target,
        input,
        output,
        estimated,
        nano_usd,
        final,
      })),
    ).toEqual([
      { target: 'acme/house', input: 15, output: 2, estimated: 1, nano_usd: 17_000, final: 0 },
      { target: 'acme/other', input: 7, output: 1, estimated: 0, nano_usd: null, final: 1 },
    ]);
  });

  test('hold nothing that their maker may not send', async () => {
    const start = (content: string, key?: string) => failure(startBatch(openai(key), content));
    const forbidden = await start(`${chatLine('gpt-4o-mini')}\n${chatLine('gpt-5')}`, 'sk-narrow');
    expect(forbidden).toMatchObject({ status: 403 });
    expect(forbidden.message).toContain('openai/gpt-5');
    expect(await start(chatLine('gpt-4o-mini'), 'sk-narrow')).toEqual({ message: 'no error' });
    expect(await start(chatLine('unheard-of'), 'sk-poor')).toMatchObject({ status: 400 });
    const twice = chatLine('gpt-4o-mini').replace('"model"', '"model":"gpt-5","model"');
    expect((await start(twice, 'sk-narrow')).message).toContain('line 1');
    expect((await start(`${chatLine('gpt-4o-mini')}\n\nnonsense`)).message).toContain('line 2');
    const foreign = await upload();
    const named = chatLine('gpt-4o-mini', {
      messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: foreign.id } }] }],
    });
    expect(await start(named, 'sk-stranger')).toMatchObject({ status: 404 });
    expect(await start(named)).toEqual({ message: 'no error' });
    expect(
      await failure(
        openai().batches.create({ endpoint: '/v1/responses', completion_window: '24h' } as never),
      ),
    ).toMatchObject({ status: 400 });
  });

  test('cost what a budget has left, and no more are started then', async () => {
    const client = openai('sk-poor');
    const batch = await startBatch(client);
    keeper.finish(batch.id, [], { usage: { ...usage, output_tokens: 10_000_000 }, model: 'gpt-4o-mini' });
    await client.batches.retrieve(batch.id);
    await until(async () => (await failure(startBatch(client))).status === 429);
    // What was paid for is still to be had.
    expect(await client.batches.retrieve(batch.id)).toMatchObject({ status: 'completed' });
  });
});

describe('files and batches, as Anthropic has them', () => {
  const params = (model = 'claude-haiku-4-5') => ({
    model,
    max_tokens: 10,
    messages: [{ role: 'user' as const, content: 'Hi.' }],
  });

  test('files are uploaded, listed, downloaded and deleted, by one team', async () => {
    const { files } = anthropic().beta;
    const made = await files.upload({ file: new File(['Zoë'], 'x.txt', { type: 'text/plain' }) });
    expect(made).toMatchObject({ type: 'file', filename: 'x.txt' });
    expect(await (await files.download(made.id)).text()).toBe('Zoë');
    expect(await files.retrieveMetadata(made.id)).toMatchObject({ id: made.id });
    const second = await files.upload({ file: new File(['2'], '2.txt') });
    const ids = (await Array.fromAsync(files.list({ limit: 1 }))).map(({ id }) => id);
    expect(ids.slice(0, 2)).toEqual([second.id, made.id]);
    expect((await Array.fromAsync(files.list({ ids: [made.id] }))).map(({ id }) => id)).toEqual([made.id]);
    const stranger = anthropic('sk-stranger').beta.files;
    expect(await Array.fromAsync(stranger.list())).toEqual([]);
    expect(await failure(stranger.delete(made.id))).toBeInstanceOf(Anthropic.NotFoundError);
    // One shape's files are none of another's.
    expect((await Array.fromAsync(openai().files.list())).map(({ id }) => id)).not.toContain(made.id);
    expect(await files.delete(made.id)).toMatchObject({ type: 'file_deleted' });
    expect(await failure(files.retrieveMetadata(made.id))).toBeInstanceOf(Anthropic.NotFoundError);
  });

  test('batches are started, listed, fetched with their results, charged once and deleted', async () => {
    const { batches } = anthropic().messages;
    const { data: batch, response } = await batches
      .create({
        requests: [
          { custom_id: 'one', params: params() },
          { custom_id: 'two', params: params('claude-sonnet-4-5') },
        ],
      })
      .withResponse();
    expect(batch.processing_status).toBe('in_progress');
    const results = ['claude-haiku-4-5', 'claude-haiku-4-5', 'claude-sonnet-4-5'].map((model, i) => ({
      custom_id: `${i}`,
      result: { type: 'succeeded', message: { model, usage: { input_tokens: 100, output_tokens: 10 } } },
    }));
    keeper.finish(batch.id, [...results, { custom_id: 'x', result: { type: 'errored', error: {} } }]);
    const stranger = anthropic('sk-stranger').messages.batches;
    expect(await failure(stranger.results(batch.id))).toBeInstanceOf(Anthropic.NotFoundError);
    const ended = await batches.retrieve(batch.id);
    expect(ended.results_url).toBe(`${gateway.url}/v1/messages/batches/${batch.id}/results`);
    expect((await Array.fromAsync(await batches.results(batch.id))).map((each) => each.custom_id)).toEqual([
      '0',
      '1',
      '2',
      'x',
    ]);
    expect(
      (await batches.list({ limit: 5 })).data.find(({ id }) => id === batch.id)?.results_url,
    ).toStartWith(gateway.url);
    const call = response.headers.get('x-request-id');
    expect(await batches.delete(batch.id)).toMatchObject({ type: 'message_batch_deleted' });
    await until(async () => (await gateway.attemptsOf(call)).length === 2);
    expect(
      (await gateway.attemptsOf(call)).map(({ target, input, nano_usd, estimated }) => ({
        target,
        input,
        nano_usd,
        estimated,
      })),
    ).toEqual([
      // $1 and $5 for a million, halved; $3 and $15.
      { target: 'claude/claude-haiku-4-5', input: 200, nano_usd: (200 * 1000 + 20 * 5000) / 2, estimated: 0 },
      {
        target: 'claude/claude-sonnet-4-5',
        input: 100,
        nano_usd: (100 * 3000 + 10 * 15_000) / 2,
        estimated: 0,
      },
    ]);
    expect(await failure(batches.retrieve(batch.id))).toBeInstanceOf(Anthropic.NotFoundError);
  });

  test('pages go both ways', async () => {
    const { batches } = anthropic('sk-stranger').messages;
    const made: string[] = [];
    for (let i = 0; i < 3; i++)
      made.unshift((await batches.create({ requests: [{ custom_id: 'a', params: params() }] })).id);
    const before = await batches.list({ before_id: made[2]!, limit: 1 });
    expect(before.data.map(({ id }) => id)).toEqual([made[1]!]);
    expect(before.has_more).toBeTrue();
    expect(
      (await Array.fromAsync(batches.list({ before_id: made[2]!, limit: 1 }))).map(({ id }) => id),
    ).toEqual([made[1]!, made[0]!]);
    expect((await batches.cancel(made[0]!)).processing_status).toBe('canceling');
  });

  test('batches hold nothing that their maker may not send', async () => {
    const create = (key: string, requests: unknown) =>
      failure(anthropic(key).messages.batches.create({ requests } as never));
    const file = await anthropic().beta.files.upload({ file: new File(['x'], 'x.txt') });
    const { account } = keeper.requests.at(-1)!;
    const content = [{ type: 'document', source: { type: 'file', file_id: file.id } }];
    const naming = [{ custom_id: 'a', params: { ...params(), messages: [{ role: 'user', content }] } }];
    expect(await create('sk-stranger', naming)).toBeInstanceOf(Anthropic.NotFoundError);
    expect(await create('sk-narrow', [{ custom_id: 'a', params: params() }])).toBeInstanceOf(
      Anthropic.BadRequestError,
    );
    expect(await create('sk-test-key', [{ custom_id: 'a', params: {} }])).toBeInstanceOf(
      Anthropic.BadRequestError,
    );
    expect(await create('sk-test-key', 'x')).toBeInstanceOf(Anthropic.BadRequestError);
    expect(await create('sk-test-key', naming)).toEqual({ message: 'no error' });
    // It is run where its file is.
    expect(keeper.requests.at(-1)).toMatchObject({ path: '/v1/messages/batches', account });
  });
});

describe('files, as Gemini has them', () => {
  test('are uploaded in parts, read, listed and deleted, by one team', async () => {
    const { files } = google();
    const made = await files.upload({
      file: new Blob(['Zoë'], { type: 'application/pdf' }),
      config: { displayName: 'x' },
    });
    expect(made).toMatchObject({ mimeType: 'application/pdf', state: FileState.PROCESSING });
    expect(made.uri).toStartWith('https://vendor.invalid/');
    const name = made.name!;
    expect(
      (await Array.fromAsync(await files.list())).find((each) => each.name === name)?.state as unknown,
    ).toBe('ACTIVE');
    expect((await files.get({ name })).state).toBe(FileState.ACTIVE);
    const stranger = google('sk-stranger').files;
    expect(await failure(stranger.get({ name }))).toMatchObject({ status: 404 });
    expect(await failure(stranger.delete({ name }))).toMatchObject({ status: 404 });
    expect(await Array.fromAsync(await stranger.list())).toEqual([]);
    const content = await fetch(`${gateway.url}/v1beta/files/${name.slice(6)}:download?alt=media`, {
      headers: { 'x-goog-api-key': 'sk-test-key' },
    });
    expect(await content.text()).toBe('Zoë');
    await files.delete({ name });
    expect(await failure(files.get({ name }))).toMatchObject({ status: 404 });
  });

  test('an upload is gone on with by those who began it', async () => {
    const start = await fetch(`${gateway.url}/upload/v1beta/files`, {
      method: 'POST',
      headers: {
        'x-goog-api-key': 'sk-test-key',
        'x-goog-upload-protocol': 'resumable',
        'x-goog-upload-command': 'start',
      },
      body: '{"file":{"displayName":"x"}}',
    });
    const next = start.headers.get('x-goog-upload-url')!;
    expect(next).toStartWith(`${gateway.url}/upload/v1beta/files?upload_id=`);
    const go = (key: string) =>
      fetch(next, {
        method: 'POST',
        headers: {
          'x-goog-api-key': key,
          'x-goog-upload-command': 'upload, finalize',
          'x-goog-upload-offset': '0',
        },
        body: 'abc',
      });
    expect((await go('sk-stranger')).status).toBe(404);
    expect((await fetch(next, { method: 'POST', body: 'abc' })).status).toBe(401);
    const done = await go('sk-test-key');
    expect(done.headers.get('x-goog-upload-status')).toBe('final');
    expect(((await done.json()) as { file: { name: string } }).file.name).toStartWith('files/');
  });
});

test('all of it is still so after a restart, and what had ended is charged', async () => {
  const file = await upload(openai(), 'kept');
  const { account } = keeper.requests.at(-1)!;
  const { data: batch, response } = await openai()
    .batches.create({
      input_file_id: (await upload(openai(), chatLine('gpt-4o-mini'), 'batch')).id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    })
    .withResponse();
  await gateway.stop();
  // Keys may have changed places meanwhile.
  gateway = await startGateway(config.replace('[up-1, up-2, up-3]', '[up-3, up-1, up-2]'), { dataDir });
  expect(await failure(openai('sk-stranger').files.retrieve(file.id))).toMatchObject({ status: 404 });
  expect(await (await openai().files.content(file.id)).text()).toBe('kept');
  expect(keeper.requests.at(-1)!.account).toBe(account);
  const naming = {
    model: 'fast',
    messages: [{ role: 'user' as const, content: [{ type: 'file' as const, file: { file_id: file.id } }] }],
  };
  expect(await failure(openai('sk-stranger').chat.completions.create(naming))).toMatchObject({ status: 404 });
  keeper.finish(batch.id, [], {
    usage: { input_tokens: 10, output_tokens: 1, total_tokens: 11 },
    model: 'gpt-4o-mini',
  });
  await openai().batches.retrieve(batch.id);
  const call = response.headers.get('x-request-id');
  await until(async () => (await gateway.attemptsOf(call)).length === 1);
});
