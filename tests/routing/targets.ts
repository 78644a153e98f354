/** Targets, routes and a seeded random for the tests of routing. */
import type { Route } from '../../src/config/route.ts';
import type { Key, Provider, Target } from '../../src/config/snapshot.ts';
import { type ErrorDetail, type ErrorKind, GatewayError } from '../../src/core/error.ts';
import type { Ask, Moment, Sight } from '../../src/routing/moment.ts';

export function makeProvider(name: string, keys = 1): Provider {
  return {
    name,
    speaks: new Map(),
    keys: Array.from({ length: keys }, (_, i) => ({ id: `${name}#${i + 1}`, header: undefined })),
    timeouts: {
      connectMs: 1000,
      firstByteMs: 1000,
      idleMs: 1000,
      minBytesPerS: 0,
      totalMs: 1000,
      sessionMs: 1000,
    },
  };
}

export function makeTarget(model: string, provider = makeProvider('acme')): Target {
  return {
    id: `${provider.name}/${model}`,
    provider,
    model,
    modelJson: JSON.stringify(model),
    quirks: {},
    endpoints: [],
    price: undefined,
  };
}

export const key: Key = {
  id: 'key_ci',
  name: 'ci',
  team: 'web',
  organisation: 'shop',
  limits: [],
  expiresAt: undefined,
  disabled: false,
};

/** A moment in which all are healthy and nothing else is known, but for what is given. */
export function momentWith(
  given: { ask?: Partial<Ask>; sight?: Partial<Sight>; seed?: number } = {},
): Moment {
  return {
    nowMs: 0,
    random: seededRandom(given.seed ?? 1),
    ask: {
      model: 'm',
      operation: 'chat',
      stream: true,
      inputTokens: 100,
      maxTokens: undefined,
      key,
      session: '',
      endUser: '',
      tags: {},
      prompt: '',
      ...given.ask,
    },
    sight: {
      isHealthy: () => true,
      firstTokenMs: () => undefined,
      lateFirstTokenMs: () => undefined,
      tokensPerSecond: () => undefined,
      failureShare: () => 0,
      recentCalls: () => 0,
      isUnsettled: () => false,
      outputTokens: () => undefined,
      highOutputTokens: () => undefined,
      inputRatio: () => undefined,
      cachedShare: () => undefined,
      inFlight: () => 0,
      keptBy: () => undefined,
      ...given.sight,
    },
  };
}

export const to = (target: Target): Route => ({ type: 'target', target });

export function failure(kind: ErrorKind, detail?: ErrorDetail): GatewayError {
  return new GatewayError(kind, `it failed: ${kind}`, detail);
}

/** Mulberry32: the same numbers for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
