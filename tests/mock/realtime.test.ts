/** Realtime sessions of the mock: what it answers, and how it misbehaves when its model name asks for that. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { until } from '../e2e/gateway.ts';
import { Client, knock } from '../e2e/realtime-peers.ts';
import { type FakeProvider, startFakeProvider } from '../fake-provider.ts';

let mock: FakeProvider;

beforeAll(async () => {
  mock = await startFakeProvider({ key: 'sk' });
});

afterAll(() => mock.stop());

const headers = { authorization: 'Bearer sk' };
const dial = (model: string, query = '') =>
  Client.dial(`${mock.base}/realtime?model=${encodeURIComponent(model)}${query}`, { headers });
const types = (client: Client) => client.events.map(({ type }) => type);

describe('a conversation', () => {
  test('is answered event by event, in the order of the API', async () => {
    const client = await dial('echo');
    client.ask('Hello');
    await client.event('response.done');
    expect(types(client)).toEqual([
      'session.created', 'conversation.item.added', 'conversation.item.done', 'response.created',
      'response.output_item.added', 'response.content_part.added', 'response.output_text.delta',
      'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.done',
    ]); // biome-ignore format: one list
    await client.end();
  });

  test('calls the tools of the session, and speaks where it is to', async () => {
    const client = await dial('tool');
    const tool = {
      type: 'function',
      name: 'look',
      parameters: { type: 'object', properties: { at: { type: 'string' } }, required: ['at'] },
    };
    client.send({ type: 'session.update', session: { tools: [tool], output_modalities: ['audio'] } });
    client.ask('the sky');
    const { response } = (await client.event('response.done')) as never as {
      response: { output: { call_id: string; arguments: string }[] };
    };
    expect(JSON.parse(response.output[0]!.arguments)).toHaveProperty('at');
    const { call_id } = response.output[0]!;
    client.send({
      type: 'conversation.item.create',
      item: { type: 'function_call_output', call_id, output: 'blue' },
    });
    client.send({ type: 'response.create' });
    expect(await client.event('response.output_audio_transcript.done')).toMatchObject({ transcript: 'blue' });
    const done = await client.event('response.done', 2);
    expect(done).toMatchObject({ response: { usage: { output_token_details: { audio_tokens: 4 } } } });
    await client.end();
  });

  test('can be interrupted', async () => {
    const client = await dial('echo:delay=20ms,chunks=50');
    client.ask('x'.repeat(200));
    await client.event('response.output_text.delta');
    client.send({ type: 'response.cancel' });
    expect(await client.event('response.done')).toMatchObject({ response: { status: 'cancelled' } });
    await client.end();
  });

  test('is corrected where an event is wrong', async () => {
    const client = await dial('echo');
    for (const wrong of [
      'no JSON',
      '{"type":"nonsense"}',
      '{"type":"input_audio_buffer.commit"}',
      '{"type":"response.cancel"}',
      '{"type":"session.update"}',
    ]) {
      // biome-ignore format: one list
      client.send(wrong);
    }
    await client.event('error', 5);
    expect(client.events.flatMap(({ error }) => (error as { code: string } | undefined)?.code ?? [])).toEqual([
      'invalid_json', 'invalid_value', 'input_audio_buffer_commit_empty', 'response_cancel_not_active',
      'missing_required_parameter',
    ]); // biome-ignore format: one list
    await client.end();
  });

  test('of audio is written down where a model is named for that, and nothing else in a transcription', async () => {
    const client = await Client.dial(`${mock.base}/realtime?intent=transcription`, { headers });
    client.send({
      type: 'session.update',
      session: { audio: { input: { transcription: { model: 'whisper-1' } } } },
    });
    client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(96_000).toString('base64') });
    client.send({ type: 'input_audio_buffer.commit' });
    expect(await client.event('conversation.item.input_audio_transcription.completed')).toMatchObject({
      transcript: '[audio 96000 bytes]',
      usage: { type: 'duration', seconds: 2 },
    });
    client.send({ type: 'response.create' });
    await client.event('error');
    await client.end();
  });
});

describe('misbehaviour', () => {
  test.each([
    ['status:429,retry_after=3', 429, 'rate_limit_exceeded'],
    ['status:500', 500, null],
    ['nonsense', 404, 'model_not_found'],
  ])('%s refuses', async (model, status, code) => {
    const answer = await knock(mock.url, `/v1/realtime?model=${model}`, headers);
    expect(answer.status).toBe(status);
    expect(answer.body.error.code).toBe(code as string);
  });

  test('a wrong key is refused, wherever it stands', async () => {
    expect((await knock(mock.url, '/v1/realtime?model=echo')).status).toBe(401);
    const offered = { 'sec-websocket-protocol': 'realtime, openai-insecure-api-key.sk' };
    const accepted = await knock(mock.url, '/v1/realtime?model=echo', offered);
    expect(accepted.status).toBe(101);
    expect(accepted.headers.get('sec-websocket-protocol')).toBe('realtime');
  });

  test('reset:0 hangs up before there is an answer', async () => {
    await expect(dial('reset:0')).rejects.toThrow('refused');
  });

  test.each([
    ['cut:4', 1006, 'response.output_item.added'],
    ['error-event:4', 1011, 'error'],
  ])('%s ends in the middle of an answer', async (model, code, last) => {
    const client = await dial(model);
    client.ask('Hello there');
    expect((await client.gone()).code).toBe(code);
    expect(types(client)).toContain(last);
    expect(types(client)).not.toContain('response.done');
  });

  test('stall says no more, and no-usage does not count', async () => {
    const client = await dial('stall:4');
    client.ask('Hello there');
    await client.event('response.output_item.added');
    await Bun.sleep(50);
    expect(types(client)).not.toContain('response.done');
    expect(client.closed).toBeUndefined();
    await client.end();
    const other = await dial('no-usage');
    other.ask('Hello there');
    expect(await other.event('response.done')).toMatchObject({ response: { usage: null } });
    await other.end();
  });

  test('sessions are counted, and let go of', async () => {
    const { open, finished } = mock.mock.counters;
    const client = await dial('echo');
    expect(mock.mock.counters.open).toBe(open + 1);
    await client.end();
    await until(() => mock.mock.counters.open === open);
    expect(mock.mock.counters.finished).toBe(finished + 1);
    expect(mock.callsOf('echo')).toBeGreaterThan(0);
  });
});
