/** What is understood of realtime sessions: offers, paths, the few events that tell usage, and what is guessed without. */
import { describe, expect, test } from 'bun:test';
import { GatewayError } from '../../src/core/error.ts';
import { charge } from '../../src/core/money.ts';
import type { Usage } from '../../src/core/usage.ts';
import { readEvent } from '../../src/dialects/realtime/events.ts';
import { RealtimeGauge } from '../../src/dialects/realtime/gauge.ts';
import { readUsage } from '../../src/dialects/realtime/usage.ts';
import {
  readOffer,
  readWish,
  realtimeAt,
  sessionPath,
  writeErrorEvent,
} from '../../src/dialects/realtime.ts';
import { catalogued } from '../../src/providers/catalog.ts';
import { resolvePrice } from '../../src/providers/prices.ts';

const realUsage = {
  total_tokens: 821,
  input_tokens: 789,
  output_tokens: 32,
  input_token_details: {
    text_tokens: 313,
    audio_tokens: 476,
    cached_tokens: 640,
    cached_tokens_details: { text_tokens: 256, audio_tokens: 384 },
  },
  output_token_details: { text_tokens: 9, audio_tokens: 23 },
};

describe('what a client offers', () => {
  const offer = (protocols: string, more: Record<string, string> = {}) =>
    readOffer(new Headers({ 'sec-websocket-protocol': protocols, ...more }));

  test('names its key, agrees on one protocol, and asks for the beta', () => {
    expect(offer('realtime, openai-insecure-api-key.sk-1.2_3, openai-beta.realtime-v1')).toEqual({
      secret: 'sk-1.2_3',
      protocol: 'realtime',
      headers: { 'openai-beta': 'realtime=v1' },
    });
    expect(offer('openai-insecure-api-key.sk,openai-organization.org-1')).toEqual({
      secret: 'sk',
      protocol: undefined,
      headers: {},
    });
  });

  test('hands on what a provider is to see, and nothing else', () => {
    const headers = { 'openai-beta': 'realtime=v1', 'openai-safety-identifier': 'u1', 'openai-project': 'p' };
    expect(offer('', headers).headers).toEqual({
      'openai-beta': 'realtime=v1',
      'openai-safety-identifier': 'u1',
    });
  });
});

describe('the path at a provider', () => {
  test('names the model, whatever it is called', () => {
    const wish = readWish('model=fast&call_id=rtc_1&voice=alloy');
    expect(wish).toEqual({ model: 'fast', transcribes: false });
    expect(sessionPath(realtimeAt, 'gpt-realtime', wish)).toBe('/realtime?model=gpt-realtime');
    expect(sessionPath(realtimeAt, 'a/b&intent=x#?', wish)).toBe('/realtime?model=a%2Fb%26intent%3Dx%23%3F');
    expect(sessionPath(realtimeAt, '\ud800', wish)).toBe('/realtime?model=%EF%BF%BD');
  });

  test('is as the host has it', () => {
    const at = { path: '/realtime?api-version=2025-04-01-preview', model: 'deployment' };
    expect(sessionPath(at, 'mine', readWish('model=m'))).toBe(
      '/realtime?api-version=2025-04-01-preview&deployment=mine',
    );
  });

  test('names no model for a session that only transcribes', () => {
    const wish = readWish('model=stt&intent=transcription');
    expect(sessionPath(realtimeAt, 'gpt-4o-transcribe', wish)).toBe('/realtime?intent=transcription');
    expect(readWish('model=stt&intent=translation').transcribes).toBe(false);
  });
});

describe('usage', () => {
  test('is read with its parts: cached tokens are part of the input, of either kind', () => {
    expect(readUsage(realUsage)).toMatchObject({
      input: 789,
      cacheRead: 640,
      audioInput: 476,
      cacheReadAudio: 384,
      output: 32,
      audioOutput: 23,
    });
  });

  test.each([
    // 57 text, 92 audio, 256 cached text, 384 cached audio; 9 text and 23 audio out.
    ['gpt-realtime', 57 * 4 + 92 * 32 + 640 * 0.4 + 9 * 16 + 23 * 64],
    ['gpt-realtime-mini', 57 * 0.6 + 92 * 10 + 256 * 0.06 + 384 * 0.3 + 9 * 2.4 + 23 * 20],
    ['gpt-4o-realtime-preview', 57 * 5 + 92 * 40 + 640 * 2.5 + 9 * 20 + 23 * 80],
  ])('costs what the price list of %s says, each kind at its own rate', (model, microUsd) => {
    const price = resolvePrice(catalogued('openai'), model, undefined, Date.now());
    expect(charge(readUsage(realUsage) as Usage, price!)).toBe(Math.round(microUsd * 1000));
  });

  test('of images is told apart, cached or not', () => {
    const usage = readUsage({
      input_tokens: 1000,
      output_tokens: 0,
      input_token_details: {
        text_tokens: 100,
        image_tokens: 900,
        cached_tokens: 600,
        cached_tokens_details: { image_tokens: 550, text_tokens: 50 },
      },
    });
    const price = resolvePrice(catalogued('openai'), 'gpt-realtime', undefined, Date.now());
    expect(charge(usage as Usage, price!)).toBe((50 * 4 + 350 * 5 + 50 * 0.4 + 550 * 0.5) * 1000);
  });

  test('may be seconds, and may be nothing', () => {
    expect(readUsage({ type: 'duration', seconds: 2.5 })).toMatchObject({
      input: 0,
      units: { millisecond: 2500 },
    });
    for (const nothing of [undefined, null, 3, 'x', [], {}, { input_tokens: 'many' }]) {
      expect(readUsage(nothing)).toBeUndefined();
    }
  });

  test('that is nonsense is bounded', () => {
    const usage = readUsage({
      input_tokens: 10,
      output_tokens: -5,
      input_token_details: { audio_tokens: 1e300, cached_tokens: Number.NaN },
      output_token_details: { audio_tokens: 99 },
    });
    expect(usage).toMatchObject({ input: 10, audioInput: 10, cacheRead: 0, output: 0, audioOutput: 0 });
  });
});

describe('events', () => {
  const done = (response: object) => JSON.stringify({ type: 'response.done', event_id: 'e', response });

  test('that tell of usage are read wherever their type stands', () => {
    const usage = { input_tokens: 3, output_tokens: 2 };
    for (const text of [
      `{"type":"response.done","response":{"status":"completed","usage":${JSON.stringify(usage)}}}`,
      `{ "event_id" : "e1", "type" : "response.done", "response": {"usage":${JSON.stringify(usage)}}}`,
      `{"response":{"type":"x","output":[{"type":"message"}],"usage":${JSON.stringify(usage)}},"type":"response.done"}`,
    ]) {
      expect(readEvent(text)).toMatchObject({ type: 'done', usage: { input: 3, output: 2 } });
    }
  });

  test('that only mention one are not taken for it', () => {
    const quoted = JSON.stringify({ note: 'see "type":"response.done"', type: 'rate_limits.updated' });
    expect(readEvent(quoted)).toBeUndefined();
    expect(readEvent(JSON.stringify({ text: '"response.done"', more: 1 }))).toBeUndefined();
  });

  test('of no interest, and what is no event, tell nothing', () => {
    for (const text of [
      '',
      'null',
      '[]',
      '"response.done"',
      '{"type":"response.done"',
      '{"type":7}',
      '{"type":"constructor"}',
      '{"type":"rate_limits.updated"}',
      'x"response.done"',
    ]) {
      // biome-ignore format: one list
      expect(readEvent(text)).toBeUndefined();
    }
  });

  test('of an answer that failed say why', () => {
    const error = { type: 'invalid_request_error', code: 'rate_limit_exceeded', message: 'slow down' };
    expect(readEvent(done({ status: 'failed', status_details: { type: 'failed', error } }))).toMatchObject({
      type: 'done',
      usage: undefined,
      failure: { kind: 'upstream_rate_limited' },
    });
    expect(readEvent(done({ status: 'failed' }))).toMatchObject({
      failure: { kind: 'upstream_unavailable' },
    });
    expect(readEvent(done({ status: 'cancelled', usage: realUsage }))).toMatchObject({ failure: undefined });
  });

  test('of pieces tell their size and kind', () => {
    const piece = (type: string) =>
      JSON.stringify({ type, event_id: 'e', item_id: 'i', delta: 'x'.repeat(400) });
    expect(readEvent(piece('response.output_audio.delta'))).toEqual({
      type: 'piece',
      audio: true,
      size: 400,
    });
    expect(readEvent(piece('response.audio.delta'))).toMatchObject({ audio: true });
    expect(readEvent(piece('response.output_audio_transcript.delta'))).toMatchObject({
      audio: false,
      size: 400,
    });
    expect(readEvent(piece('response.function_call_arguments.delta'))).toMatchObject({ audio: false });
    expect(readEvent(piece('conversation.item.input_audio_transcription.delta'))).toBeUndefined();
  });

  test('of the session tell who transcribes and how audio is packed, today and in the beta', () => {
    const today = {
      audio: {
        input: { format: { type: 'audio/pcmu' }, transcription: { model: 'gpt-4o-transcribe' } },
        output: { format: { type: 'audio/pcm', rate: 24_000 } },
      },
    };
    const beta = {
      input_audio_transcription: { model: 'whisper-1' },
      input_audio_format: 'pcm16',
      output_audio_format: 'g711_ulaw',
    };
    expect(readEvent(JSON.stringify({ type: 'session.updated', session: today }))).toEqual({
      type: 'session',
      settings: { transcriber: 'gpt-4o-transcribe', heardBytesPerS: 8000, saidBytesPerS: 48_000 },
    });
    expect(readEvent(JSON.stringify({ type: 'transcription_session.updated', session: beta }))).toEqual({
      type: 'session',
      settings: { transcriber: 'whisper-1', heardBytesPerS: 48_000, saidBytesPerS: 8000 },
    });
    expect(readEvent('{"type":"session.created","session":null}')).toMatchObject({ type: 'session' });
  });
});

describe('what nobody counted is guessed', () => {
  const audio = (seconds: number): string => Buffer.alloc(seconds * 48_000).toString('base64');

  test('from the audio and the words that passed', () => {
    const gauge = new RealtimeGauge();
    gauge.hear(JSON.stringify({ type: 'input_audio_buffer.append', audio: audio(10) }));
    gauge.hear('x'.repeat(400));
    gauge.hear(new Uint8Array(1000));
    gauge.note({ type: 'begun' });
    expect(gauge.answering).toBe(true);
    gauge.note({ type: 'piece', audio: true, size: audio(3).length });
    gauge.note({ type: 'piece', audio: false, size: 40 });
    const usage = gauge.estimateAnswer();
    expect(usage.audioInput).toBeWithin(100, 102);
    expect(usage.input).toBeWithin(200, 203);
    expect(usage.audioOutput).toBeWithin(60, 62);
    expect(usage.output).toBeWithin(70, 72);
    expect(gauge.estimateTranscript('x'.repeat(40))).toMatchObject({ output: 10 });
    expect(gauge.estimateTranscript('').audioInput).toBeWithin(100, 102);
  });

  test('and grows with the conversation', () => {
    const gauge = new RealtimeGauge();
    gauge.note({ type: 'begun' });
    gauge.counted(readUsage(realUsage) as Usage);
    expect(gauge.answering).toBe(false);
    expect(gauge.estimateInput()).toMatchObject({ input: 821, audioInput: 499, output: 0 });
    gauge.hear('y'.repeat(40));
    expect(gauge.estimateInput().input).toBe(831);
  });
});

test('an error is an event in the shape of the API', () => {
  const budget = new GatewayError('budget_exceeded', 'All is spent.', { code: 'budget_exceeded' });
  const event = JSON.parse(writeErrorEvent(budget, 'id'));
  expect(event).toEqual({
    type: 'error',
    event_id: expect.stringMatching(/^event_/),
    error: {
      type: 'insufficient_quota',
      code: 'budget_exceeded',
      message: 'All is spent.',
      param: null,
      event_id: null,
    },
  });
});
