/** What a refusal says of a provider's key, over real sockets: for all models, for one, or nothing. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { healthPage, toHealthPage } from '../../src/admin/health.ts';
import { type Answer, startAnswering, well } from './answering.ts';
import { startGateway, type TestGateway } from './gateway.ts';

const upstream = startAnswering();
const { asked, answers } = upstream;
let gateway: TestGateway;

const refusing =
  (status: number, message: string, headers: Record<string, string> = {}): Answer =>
  () =>
    Response.json({ error: { message, type: 'permission_error' } }, { status, headers });

beforeAll(async () => {
  const { provider } = upstream;
  gateway = await startGateway(`
providers:
${['limits', 'forbids', 'revoked', 'spare'].map((name) => provider(name)).join('\n')}
${provider('forbids-one', 'keys: [one, two, three]')}
${provider('forbids-all', 'keys: [one, two, three]')}
models:
  large: { fallback: [limits/large, spare/m] }
  small: { fallback: [limits/small, spare/m] }
  forbidden: { fallback: [forbids/m, spare/m] }
  dead: { fallback: [revoked/m, spare/m] }
`);
});

afterAll(async () => {
  await gateway.stop();
  await upstream.stop();
});

beforeEach(() => {
  asked.length = 0;
});

const call = (model: string) =>
  gateway.post('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'hi' }] });

/** Who answered, at which attempt. */
async function answererOf(model: string): Promise<(string | null)[]> {
  const { headers } = await call(model);
  return [headers.get('x-sluice-target'), headers.get('x-sluice-attempts')];
}

const health = () => gateway.app.gateway.health.describe(Date.now());
const metrics = async () => (await fetch(`${gateway.url}/metrics`)).text();

test('a limit of one model lets others of the same key go on', async () => {
  const limit = refusing(429, 'Slow down.', { 'retry-after': '50' });
  answers.set('limits', (each) => (each.model === 'large' ? limit : well)(each));
  expect(await answererOf('large')).toEqual(['spare/m', '2']);
  expect(await answererOf('large')).toEqual(['spare/m', '1']);
  expect(await answererOf('small')).toEqual(['limits/small', '1']);
  const page = healthPage.parse(toHealthPage(health()));
  expect(page.providers.find(({ name }) => name === 'limits')?.keys).toEqual([
    {
      id: 'limits#1',
      state: 'live',
      limited: [{ model: 'large', until: expect.any(String), why: 'rate_limited' }],
    },
  ]);
  expect(await metrics()).toContain('sluice_keys_aside{provider="limits",why="rate_limited"} 1');
});

describe('a 403', () => {
  test('of what is asked moves on, and costs nobody the key', async () => {
    answers.set('forbids', refusing(403, 'Not this.'));
    for (let i = 0; i < 12; i++) expect(await answererOf('forbidden')).toEqual(['spare/m', '2']);
    const alone = await call('forbids/m');
    expect([alone.status, await alone.text()]).toEqual([502, expect.stringContaining('Not this.')]);
    expect(health().targets).toEqual([]);
    expect(await metrics()).not.toContain('sluice_keys_aside{provider="forbids"');
    answers.delete('forbids');
    expect(await answererOf('forbidden')).toEqual(['forbids/m', '1']);
  });

  test('that speaks of the key sets it aside', async () => {
    answers.set('revoked', refusing(403, 'Your API key was revoked.'));
    expect(await answererOf('dead')).toEqual(['spare/m', '2']);
    expect(await answererOf('dead')).toEqual(['spare/m', '1']);
    expect(await metrics()).toContain('sluice_keys_aside{provider="revoked",why="refused"} 1');
  });

  test('is asked about with one other key, and no more', async () => {
    const forbid = refusing(403, 'Not this.');
    answers.set('forbids-one', (each) => (each.key === 'Bearer one' ? forbid : well)(each));
    answers.set('forbids-all', forbid);
    for (let i = 0; i < 6; i++) expect((await call('forbids-one/m')).status).toBe(200);
    // It has its turn all the same: others may ask it for what it may.
    expect(asked.filter(({ key }) => key === 'Bearer one').length).toBeGreaterThan(1);
    asked.length = 0;
    expect((await call('forbids-all/m')).status).toBe(502);
    expect(new Set(asked.map(({ key }) => key)).size).toBe(2);
    expect(asked).toHaveLength(2);
  });
});
