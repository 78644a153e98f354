/** Calls as a busy company makes them, made up by a seed: what bench/store.ts fills a store with. */
import type { Names } from '../src/core/record.ts';
import { emptyUsage } from '../src/core/usage.ts';
import type { Attempt } from '../src/store/attempts.ts';
import { seededRandom } from '../tests/routing/targets.ts';

const keyCount = 40;
const modelCount = 20;
const tagSets = ['', 'app=chat,env=prod', 'app=search,env=prod', 'app=chat,env=test'];
const endUserCount = 5000;
/** Calls of one session. */
const sessionCalls = 12;
const nodes = ['0123456789', '89abcdef01', 'fedcba9876'];

/** Calls spread evenly from `fromMs` to `toMs`, in batches of `batchCalls`. */
export function* makeCalls(
  count: number,
  {
    fromMs,
    toMs,
    batchCalls = 1000,
    seed = 1,
  }: { fromMs: number; toMs: number; batchCalls?: number; seed?: number },
): Generator<Attempt[]> {
  const random = seededRandom(seed);
  const pick = (n: number) => Math.floor(random() * random() * n);
  const known = new Map<number, Names>();
  const sessions: string[] = [];
  let batch: Attempt[] = [];
  for (let i = 0; i < count; i++) {
    const at = Math.floor(fromMs + ((toMs - fromMs) * i) / count);
    const key = pick(keyCount);
    // A key has its favourites, and seldom asks others.
    const model = (key * 7 + pick(modelCount)) % modelCount;
    const tags = (key + pick(tagSets.length)) % tagSets.length;
    const second = random() < 0.03;
    const place = ((key * modelCount + model) * tagSets.length + tags) * 2 + Number(second);
    let names = known.get(place);
    if (names === undefined) {
      names = nameCall(key, model, tagSets[tags]!, second);
      known.set(place, names);
    }
    const call = `${at.toString(36).padStart(9, '0')}${(i % 1000).toString(36).padStart(3, '0')}${nodes[i % nodes.length]}`;
    const slot = pick(500);
    sessions[slot] ??= `${Math.floor(random() * 1e15).toString(16)}-${i.toString(16)}-4f6e-9d2c`;
    const session = random() < 0.6 ? sessions[slot] : '';
    if (random() < 1 / sessionCalls) delete sessions[slot];
    batch.push(
      makeAttempt(
        random,
        call,
        at,
        names,
        session,
        random() < 0.5 ? `user-${pick(endUserCount)}@example.org` : '',
        second,
      ),
    );
    if (batch.length === batchCalls) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

function nameCall(key: number, model: number, tags: string, second: boolean): Names {
  const provider = `provider-${(model + Number(second)) % 6}`;
  return {
    key: `key_${key.toString().padStart(12, '0')}`,
    team: `team-${key % 12}`,
    organisation: `org-${key % 4}`,
    model: `model-${model}`,
    target: `${provider}/vendor-model-${model}-2026`,
    provider,
    tags,
    priceSource: 'genai-prices@0.1.8',
    ...(second ? { why: 'fallback 2' } : model % 2 === 0 ? { why: 'fallback 1' } : {}),
  };
}

function makeAttempt(
  random: () => number,
  call: string,
  at: number,
  names: Names,
  session: string,
  endUser: string,
  second: boolean,
): Attempt {
  const ok = random() < 0.96;
  const stream = random() < 0.7;
  const input = Math.floor(200 + 8000 * random() ** 2);
  const output = ok ? Math.floor(20 + 1500 * random() ** 2) : 0;
  const firstByteMs = Math.floor(150 + 900 * random() ** 3);
  const durationMs = Math.floor(firstByteMs + output * 12 * (0.5 + random()));
  const usage = {
    ...emptyUsage(),
    input: ok ? input : 0,
    output,
    cacheRead: ok && random() < 0.4 ? Math.floor(input / 2) : 0,
    reasoning: ok && random() < 0.2 ? Math.floor(output / 2) : 0,
  };
  const attempt = second ? 2 : 1;
  return {
    dispatch: { call, attempt, at: at - durationMs, names, stream, session, endUser, reservedNanoUsd: 0 },
    settled: {
      call,
      attempt,
      at,
      final: true,
      outcome: ok ? 'ok' : random() < 0.5 ? 'upstream_rate_limited' : 'cancelled',
      upstreamStatus: ok ? 200 : 429,
      clientStatus: ok ? 200 : 429,
      firstByteMs: ok ? firstByteMs : undefined,
      durationMs,
      usage,
      estimated: random() < 0.01,
      nanoUsd: usage.input * 2500 + output * 10_000,
      lost: random() < 0.03 ? ['metadata', 'seed'] : [],
    },
  };
}
