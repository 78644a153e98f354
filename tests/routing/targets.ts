/** Targets, routes and a seeded random for the tests of routing. */
import type { Provider, Route, Target } from '../../src/config/snapshot.ts';
import { type ErrorDetail, type ErrorKind, GatewayError } from '../../src/core/error.ts';

export function makeProvider(name: string, keys = 1): Provider {
  return {
    name,
    speaks: new Map(),
    keys: Array.from({ length: keys }, (_, i) => ({ id: `${name}#${i + 1}`, header: undefined })),
    timeouts: { firstByteMs: 1000, idleMs: 1000, totalMs: 1000, sessionMs: 1000 },
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
