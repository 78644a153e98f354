/** A whole gateway in this process, on a free port and a fresh data directory: for tests. */
import { test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { type App, startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config/load.ts';
import { formatMistakes } from '../../src/config/mistakes.ts';
import type { Config } from '../../src/config/schema.ts';
import { createLog } from '../../src/observe/log.ts';
import type { RecordedAttempt } from '../../src/store/calls.ts';
import { openStore } from '../../src/store/open.ts';
import { queryUsage, type UsageDimension, type UsageRow } from '../../src/store/usage.ts';
import { recordedAttempts } from '../store/recorded-attempts.ts';

export const key = 'sk-test-key';

/** True in the pass that sends same-dialect traffic through the hub. */
export const forced = process.env.SLUICE_FORCE_TRANSLATE === '1';

/** A test of bytes that are relayed: there are none in the forced pass. */
export const relayOnly = test.skipIf(forced);

/** Two providers on one fake, one for each dialect: `oa` and `an`. */
export const twoProviders = (base: string): string => `
providers:
  oa: { speaks: openai-chat, url: "${base}", key: up }
  an: { speaks: anthropic-messages, url: "${base}", key: up }
`;

/** Resolves as soon as `condition` holds; rejects after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('What was waited for did not happen within ten seconds.');
    await Bun.sleep(5);
  }
}

/** An attempt as it stands in the store, with what it shares with others. */
export type AttemptRow = RecordedAttempt;

export interface TestGateway {
  app: App;
  url: string;
  dataDir: string;
  openai: OpenAI;
  anthropic: Anthropic;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Rows of the store, once all that has happened is in it. */
  attempts(): Promise<AttemptRow[]>;
  /** The attempts of one call, by the `x-request-id` of its answer. */
  attemptsOf(call: string | null | undefined): Promise<AttemptRow[]>;
  usage(by: UsageDimension): Promise<UsageRow[]>;
  stop(): Promise<void>;
}

/**
 * @param yaml configuration without listen and data; a key named `test` with the secret `key` is added when it has none.
 */
export async function startGateway(yaml: string, options: { dataDir?: string } = {}): Promise<TestGateway> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const text = /^keys:/m.test(yaml) ? yaml : `${yaml}\nkeys: [{ name: test, key: ${key} }]\n`;
  const loaded = readConfig(text, {});
  if (loaded.config === undefined) throw new Error(formatMistakes('test', loaded.mistakes));
  const overrides = (config: Config): Config => ({
    ...config,
    listen: { host: '127.0.0.1', port: 0 },
    data: dataDir,
  });
  const app = await startApp({
    config: overrides(loaded.config),
    configFile: undefined,
    env: process.env,
    overrides,
    log: createLog('silent'),
  });
  const sdk = { apiKey: key, maxRetries: 0 };
  return {
    app,
    url: app.url,
    dataDir,
    openai: new OpenAI({ ...sdk, baseURL: `${app.url}/v1` }),
    anthropic: new Anthropic({ ...sdk, baseURL: app.url }),
    post: (path, body, headers = {}) =>
      fetch(app.url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
    attempts: () => readAttempts(app, dataDir),
    attemptsOf: async (call) => (await readAttempts(app, dataDir)).filter((row) => row.call === call),
    async usage(by) {
      await app.flushed();
      const store = await openStore(dataDir, app.snapshot().settings.store);
      try {
        return await queryUsage(store.db, { by });
      } finally {
        await store.close();
      }
    },
    async stop() {
      await app.stop();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function readAttempts(app: App, dataDir: string): Promise<AttemptRow[]> {
  await app.flushed();
  const store = await openStore(dataDir, app.snapshot().settings.store);
  try {
    return await recordedAttempts(store);
  } finally {
    await store.close();
  }
}
