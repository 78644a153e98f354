/** Lists of models through the official clients: what is known of each, of those that the key may use. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { startGateway, type TestGateway } from './gateway.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway(`
providers:
  openai: { key: up }
  anthropic: { key: up }
  deepseek: { key: up }
  acme: { speaks: openai-chat, url: "http://127.0.0.1:1/v1", key: up }
models:
  fast: openai/gpt-4o-mini
  smart: { fallback: [anthropic/claude-sonnet-4-5, openai/gpt-4o] }
  own: acme/house
  mixed: { split: [{ to: fast, weight: 1 }, { to: own, weight: 1 }] }
  hi/there: fast
  dictation: openai/whisper-1
prices:
  acme/priced: { input: 0.5, output: 2, request: 0.001 }
keys:
  - { name: test, key: sk-test-key }
  - { name: narrow, key: sk-narrow, models: [fast, "hi/*", "anthropic/claude-haiku*"] }
`);
});
afterAll(() => gateway.stop());

/** What the official client's types do not tell. */
interface Told {
  owned_by: string;
  context_length?: number;
  max_output_tokens?: number;
  pricing?: Record<string, string>;
  pricing_tiers?: Record<string, string | number>[];
  input_modalities: string[];
  supported_parameters: string[];
  targets: string[];
}

const tell = async (model: string): Promise<Told> =>
  (await gateway.openai.models.retrieve(model)) as unknown as Told;
const openai = (apiKey: string): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });

describe('to OpenAI’s client', () => {
  test('a model tells its provider, its price in USD a token, its bounds and what it takes', async () => {
    const told = await tell('openai/gpt-4o-mini');
    expect(told).toMatchObject({
      id: 'openai/gpt-4o-mini',
      object: 'model',
      owned_by: 'openai',
      context_length: 128_000,
      pricing: {
        prompt: '0.00000015',
        completion: '0.0000006',
        input_cache_read: '0.000000075',
        input_cache_write: '0.00000015',
        request: '0',
      },
      targets: ['openai/gpt-4o-mini'],
    });
    expect(told.supported_parameters).toEqual(
      expect.arrayContaining(['tools', 'tool_choice', 'max_tokens', 'response_format', 'temperature']),
    );
    expect(told.input_modalities).toEqual(expect.arrayContaining(['text', 'image', 'file']));
    // Nobody says how long its answers may be.
    expect('max_output_tokens' in told).toBeFalse();
  });

  test('what a family is known to refuse is left out', async () => {
    expect((await tell('openai/gpt-5')).supported_parameters).not.toContain('temperature');
    expect((await tell('deepseek/deepseek-v4-pro')).input_modalities).toEqual(['text']);
    expect((await tell('anthropic/claude-sonnet-4-5')).max_output_tokens).toBe(64_000);
  });

  test('prices of long requests stand beside the usual ones', async () => {
    const { pricing, pricing_tiers } = await tell('anthropic/claude-sonnet-4-5');
    expect(pricing).toMatchObject({ prompt: '0.000003', input_cache_write: '0.00000375' });
    expect(pricing_tiers).toEqual([
      {
        above: 200_000,
        prompt: '0.000006',
        completion: '0.0000225',
        input_cache_read: '0.0000006',
        input_cache_write: '0.0000075',
      },
    ]);
  });

  test('a route tells what holds whichever target answers', async () => {
    const told = await tell('smart');
    expect(told).toMatchObject({
      owned_by: 'sluice',
      context_length: 128_000,
      pricing: { prompt: '0.000003', completion: '0.000015' },
      targets: ['anthropic/claude-sonnet-4-5', 'openai/gpt-4o'],
    });
    expect('max_output_tokens' in told).toBeFalse();
    expect(told.supported_parameters).toContain('tools');
    expect(told.supported_parameters).not.toContain('top_k');
  });

  test('what is not known is not told', async () => {
    for (const name of ['own', 'mixed', 'acme/anything']) {
      const told = await tell(name);
      expect(told.pricing).toBeUndefined();
      expect(told.context_length).toBeUndefined();
    }
    expect((await tell('acme/priced')).pricing).toMatchObject({ prompt: '0.0000005', request: '0.001' });
    // It is sold by the second: a token of it is not free.
    expect((await tell('dictation')).pricing).toBeUndefined();
  });

  test('the list has the same entries, and names with slashes are found, escaped or not', async () => {
    const list = await Array.fromAsync(gateway.openai.models.list());
    const named = list.find(({ id }) => id === 'hi/there');
    expect(named).toMatchObject({ owned_by: 'openai', targets: ['openai/gpt-4o-mini'] });
    expect(await gateway.openai.models.retrieve('hi/there')).toEqual(named!);
    const headers = { authorization: 'Bearer sk-test-key' };
    for (const path of ['hi/there', 'hi%2Fthere']) {
      const response = await fetch(`${gateway.url}/v1/models/${path}`, { headers });
      expect(await response.json()).toEqual(JSON.parse(JSON.stringify(named)));
    }
  });

  test('nothing is told of what the key may not use', async () => {
    const narrow = openai('sk-narrow');
    const ids = (await Array.fromAsync(narrow.models.list())).map(({ id }) => id);
    expect(ids).toEqual(['fast', 'hi/there', 'anthropic/claude-haiku-4-5']);
    const refused = await narrow.models.retrieve('smart').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(OpenAI.PermissionDeniedError);
  });
});

test('to Anthropic’s client a model tells its bounds in that client’s words', async () => {
  const list = await Array.fromAsync(gateway.anthropic.models.list());
  expect(list.find(({ id }) => id === 'anthropic/claude-sonnet-4-5')).toMatchObject({
    type: 'model',
    max_input_tokens: 200_000,
    max_tokens: 64_000,
    lifecycle: 'active',
  });
  expect(await gateway.anthropic.models.retrieve('own')).toMatchObject({
    id: 'own',
    max_input_tokens: null,
    max_tokens: null,
    capabilities: null,
  });
  expect(await gateway.anthropic.models.retrieve('nope').catch((error: unknown) => error)).toBeInstanceOf(
    Anthropic.NotFoundError,
  );
});

test('to Google’s client a model tells its bounds in that client’s words', async () => {
  const google = new GoogleGenAI({ apiKey: 'sk-test-key', httpOptions: { baseUrl: gateway.url } });
  const list = await Array.fromAsync(await google.models.list());
  expect(list.find(({ name }) => name === 'models/smart')).toMatchObject({ inputTokenLimit: 128_000 });
  expect(await google.models.get({ model: 'anthropic/claude-sonnet-4-5' })).toMatchObject({
    name: 'models/anthropic/claude-sonnet-4-5',
    inputTokenLimit: 200_000,
    outputTokenLimit: 64_000,
    supportedActions: ['generateContent', 'streamGenerateContent', 'countTokens'],
  });
});
