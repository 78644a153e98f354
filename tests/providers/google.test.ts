/** Access tokens: when they are fetched, how long they are kept, and what becomes of failures. */
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GatewayError } from '../../src/core/error.ts';
import type { Signable } from '../../src/providers/auth.ts';
import { googleToken } from '../../src/providers/google.ts';

const request: Signable = { url: 'https://example.com', body: '' };
const folder = mkdtempSync(join(tmpdir(), 'sluice-google-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Grants `first`, `second`… for as long as told, or fails. */
function granting(...turns: (number | Error)[]) {
  const words = ['first', 'second', 'third', 'fourth'];
  let asked = 0;
  const authorise = googleToken(undefined, async () => {
    const turn = turns[Math.min(asked, turns.length - 1)]!;
    const headers = { authorization: words[asked++] ?? '' };
    if (turn instanceof Error) throw turn;
    return { headers, untilMs: Date.now() + turn * 1000 };
  });
  return { ask: async () => (await authorise(request)).authorization, asked: () => asked, authorise };
}

const failure = async (asked: Promise<unknown>): Promise<GatewayError> => {
  try {
    await asked;
  } catch (error) {
    return error as GatewayError;
  }
  throw new Error('It did not fail.');
};

describe('a token', () => {
  test('is fetched once for calls that wait for it together, and then at hand at once', async () => {
    const { ask, asked, authorise } = granting(3600);
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['first', 'first', 'first']);
    expect(authorise(request)).toEqual({ authorization: 'first' });
    expect(asked()).toBe(1);
  });

  test('that ends soon is replaced while it is still good', async () => {
    const { ask, asked } = granting(200, 3600);
    expect(await ask()).toBe('first');
    expect(await ask()).toBe('first');
    await Bun.sleep(1);
    expect(await ask()).toBe('second');
    expect(asked()).toBe(2);
  });

  test('that ends soon serves on when the next is not to be had', async () => {
    const { ask } = granting(200, new Error('down'), new Error('down'), 3600);
    for (const word of ['first', 'first', 'first']) {
      expect(await ask()).toBe(word);
      await Bun.sleep(1);
    }
    expect(await ask()).toBe('first');
    await Bun.sleep(1);
    expect(await ask()).toBe('fourth');
  });

  test('that has ended is waited for, and its failure is that of the call; the next call tries again', async () => {
    const { ask } = granting(-1, new Error('no'), 3600);
    expect(await ask()).toBe('first');
    expect((await failure(ask())).kind).toBe('upstream_auth');
    expect(await ask()).toBe('third');
  });
});

describe('a failure', () => {
  const cases: [what: string, thrown: Error, kind: string][] = [
    ['a server that says no', Object.assign(new Error('invalid_grant'), { status: 400 }), 'upstream_auth'],
    ['a server in trouble', Object.assign(new Error('x'), { status: 503 }), 'upstream_network'],
    ['a server that is too busy', Object.assign(new Error('x'), { status: 429 }), 'upstream_network'],
    ['no server', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'upstream_network'],
    ['no credentials', new Error('Could not load the default credentials.'), 'upstream_auth'],
  ];
  test.each(cases)('%s', async (_what, thrown, kind) => {
    expect((await failure(granting(thrown).ask())).kind).toBe(kind as GatewayError['kind']);
  });
});

describe('credentials', () => {
  const file = (content: unknown): string => {
    const path = join(folder, `${crypto.randomUUID()}.json`);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const asked: { path: string; form: URLSearchParams }[] = [];
  const server = Bun.serve({
    port: 0,
    async fetch(each) {
      asked.push({ path: new URL(each.url).pathname, form: new URLSearchParams(await each.text()) });
      return Response.json({ access_token: 'federated', expires_in: 3600, token_type: 'Bearer' });
    },
  });
  afterAll(() => server.stop(true));

  test("a workload's identity is exchanged for a token", async () => {
    const subject = join(folder, 'subject');
    writeFileSync(subject, 'the-subject-token');
    const authorise = googleToken(
      file({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${server.url.origin}/sts`,
        credential_source: { file: subject },
      }),
    );
    expect((await authorise(request)).authorization).toBe('Bearer federated');
    expect(asked.at(-1)?.path).toBe('/sts');
    expect(asked.at(-1)?.form.get('subject_token')).toBe('the-subject-token');
  });

  test('of a kind that is not known, without a key, or without anything are refused', async () => {
    const program = { type: 'external_account', credential_source: { executable: { command: 'id' } } };
    for (const content of [
      { type: 'magic' },
      {},
      { type: 'service_account' },
      { type: 'external_account' },
      program,
      3,
    ]) {
      expect((await failure(Promise.resolve(googleToken(file(content))(request)))).kind).toBe(
        'upstream_auth',
      );
    }
  });
});
