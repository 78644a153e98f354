/**
 * CPU of planning one call over a route with 50 targets and taking the first step, by strategy: `bun bench/plan.ts`.
 * Health and measures are the gateway's own, filled as after many calls; half of the calls are of conversations that return.
 */
import type { Route, Strategy } from '../src/config/route.ts';
import type { Price } from '../src/core/money.ts';
import { createHealth } from '../src/routing/health.ts';
import { createSight, Measures } from '../src/routing/measures.ts';
import type { Moment } from '../src/routing/moment.ts';
import { Plan } from '../src/routing/plan.ts';
import { bondBy } from '../src/routing/strategies/conversation.ts';
import { key, makeProvider, makeTarget, momentWith, seededRandom, to } from '../tests/routing/targets.ts';

const targetCount = 50;
const runs = 20_000;
const rounds = 7;
const startMs = Date.UTC(2026, 0, 1);
const random = seededRandom(1);

function priceOf(output: number): Price {
  const rates = { input: output / 4, cacheRead: output / 40, cacheWrite5m: 0, cacheWrite1h: 0, output };
  return {
    rates: { ...rates, audioInput: 0, audioOutput: 0 },
    tiers: [],
    perCall: 0,
    source: 'bench',
    version: '',
  };
}

const targets = Array.from({ length: targetCount }, (_, i) => ({
  ...makeTarget(`m${i}`, makeProvider(`p${i % 10}`)),
  price: priceOf(400_000 + Math.floor(random() * 400_000)),
}));
const measures = new Measures();
const sight = createSight(createHealth(), measures);
for (let i = 0; i < targetCount * 40; i++) {
  const target = targets[i % targetCount]!;
  measures.began(target);
  const end = {
    outcome: 'ok',
    stream: true,
    firstTold: false,
    restedMs: 0,
    inputTokens: 3000,
    cachedTokens: 2000,
    returned: true,
  } as const;
  const firstByteMs = 200 + random() * 400;
  measures.ended(target, key, { ...end, firstByteMs, durationMs: 3000, outputTokens: 300 }, startMs + i);
}
for (const target of targets) for (let i = random() * 9; i > 0; i--) measures.began(target);

const children: Route[] = targets.map(to);
const steady = { children, steady: true };
const routes: Record<string, Strategy> = {
  fallback: { type: 'fallback', children },
  split: { type: 'split', steady: true, children: children.map((route, i) => ({ weight: i + 1, route })) },
  cheapest: { type: 'cheapest', ...steady },
  fastest: { type: 'fastest', explore: 0.05, ...steady },
  least_busy: { type: 'least_busy', ...steady },
  sticky: { type: 'sticky', by: 'conversation', children },
  nested: {
    type: 'fastest',
    explore: 0.05,
    steady: true,
    children: Array.from({ length: 10 }, (_, i) => ({
      type: 'least_busy',
      steady: true,
      children: children.slice(i * 5, i * 5 + 5),
    })),
  },
};

function momentOf(call: number): Moment {
  const ask = { prompt: `digest${call % 1000}`, inputTokens: 3000 };
  return { ...momentWith({ ask }), sight, random, nowMs: startMs + targetCount * 40 + call / 100 };
}

const moments = Array.from({ length: 2000 }, (_, call) => momentOf(call));
for (const moment of moments.slice(0, 500)) {
  const { name } = bondBy('conversation', moment)!;
  measures.keep(name, targets[Math.floor(random() * targetCount)]!, moment.nowMs);
}

/** The median of several rounds, in µs. */
function measure(route: Strategy): number {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const { user, system } = process.cpuUsage();
    for (let run = 0; run < runs; run++) {
      const moment = moments[run % moments.length]!;
      new Plan(route, moment).next(moment.nowMs);
    }
    const used = process.cpuUsage({ user, system });
    times.push((used.user + used.system) / runs);
  }
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

console.log(`µs of CPU for one plan over ${targetCount} targets (median of ${rounds} × ${runs})`);
for (const [name, route] of Object.entries(routes))
  console.log(`${name.padEnd(12)}${measure(route).toFixed(2).padStart(7)}`);
