/** How routes behave over many calls: who learns what how soon, and what stays where it is. Clocks and chances are given. */
import { describe, expect, test } from 'bun:test';
import type { Route, Strategy } from '../../src/config/route.ts';
import type { Target } from '../../src/config/snapshot.ts';
import { type Answer, countOf, noisy, Simulation } from './simulate.ts';
import { makeProvider, makeTarget, seededRandom, to } from './targets.ts';

const second = 1000;
const minute = 60 * second;
const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

const makeTargets = (count: number) =>
  Array.from({ length: count }, (_, i) => makeTarget(`t${i}`, makeProvider(`p${i}`)));

const fastest = (targets: readonly Target[]): Strategy => ({
  type: 'fastest',
  explore: 0.05,
  steady: true,
  children: targets.map(to),
});

/** Whom each of `count` calls asked first, one after another in steps of `everyMs`. */
function firsts(simulation: Simulation, count: number, everyMs: number): string[] {
  return Array.from({ length: count }, () => {
    const [asked] = simulation.call();
    simulation.wait(everyMs);
    return asked!;
  });
}

/** A first token after `ms`, twice as long for the rest. */
function answerIn(ms: number, noise: number, random: () => number): Answer {
  const firstMs = noisy(ms, noise, random);
  return { firstMs, durationMs: firstMs + noisy(2 * ms, noise, random) };
}

describe('fastest', () => {
  const targets = makeTargets(2);

  describe.each([
    [1000, 200, 0, 10],
    [1000, 200, 0.3, 10],
    [600, 300, 0.3, 20],
    [1000, 200, 0, 100],
    [1000, 200, 0.3, 100],
    [600, 400, 0, 200],
    [600, 400, 0.3, 200],
    [500, 400, 0.3, 2000],
  ])('of %i and %i ms, noise ±%d, a call each %i ms', (slowMs, quickMs, noise, everyMs) => {
    test.each(seeds)(
      'goes to the better within 200 calls, and back within 200 when they swap (%i)',
      (seed) => {
        let better = 't1';
        const simulation = new Simulation(
          fastest(targets),
          ({ model }, _nowMs, random) => answerIn(model === better ? quickMs : slowMs, noise, random),
          seed,
        );
        for (better of ['t1', 't0', 't1']) {
          firsts(simulation, 200, everyMs);
          expect(countOf(firsts(simulation, 100, everyMs))[better]).toBeGreaterThanOrEqual(75);
          // Times swap after a long while as well as after a short one.
          if (seed % 2 === 0) firsts(simulation, 1000, everyMs);
        }
      },
    );
  });

  test('sends nearly all calls to the better', () => {
    const simulation = new Simulation(fastest(targets), ({ model }, _nowMs, random) =>
      answerIn(model === 't1' ? 200 : 600, 0.3, random),
    );
    firsts(simulation, 200, second);
    expect(countOf(firsts(simulation, 2000, second)).t1).toBeGreaterThan(1850);
  });

  test.each(seeds)('does not change sides for noise (%i)', (seed) => {
    const simulation = new Simulation(
      fastest(targets),
      (_target, _nowMs, random) => answerIn(400, 0.3, random),
      seed,
    );
    const leaders: string[] = [];
    for (let window = 0; window < 40; window++) {
      const counts = countOf(firsts(simulation, 50, 200));
      leaders.push((counts.t0 ?? 0) > (counts.t1 ?? 0) ? 't0' : 't1');
    }
    const changes = leaders.filter((leader, i) => i > 0 && leader !== leaders[i - 1]).length;
    expect(changes).toBeLessThanOrEqual(2);
  });

  test.each(seeds)('stays with the better where times vary as much as prompts do (%i)', (seed) => {
    // Log-normal: of a hundred, five take more than twice the mean, and thirteen less than half of it.
    const spread = (random: () => number) =>
      Math.exp(0.5 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()) - 0.125);
    const simulation = new Simulation(
      fastest(targets),
      ({ model }, _nowMs, random) => {
        const firstMs = (model === 't1' ? 300 : 600) * spread(random);
        return { firstMs, durationMs: firstMs * 3 };
      },
      seed,
    );
    firsts(simulation, 300, 100);
    expect(countOf(firsts(simulation, 3000, 100)).t1).toBeGreaterThan(2500);
  });

  test('measures many targets one call at a time, and finds the best of them', () => {
    const many = makeTargets(20);
    const timeOf = new Map(many.map(({ model }, i) => [model, i === 13 ? 200 : 500 + 20 * i]));
    const simulation = new Simulation(fastest(many), ({ model }, _nowMs, random) =>
      answerIn(timeOf.get(model)!, 0.3, random),
    );
    const asked = firsts(simulation, 200, second);
    expect(new Set(asked.slice(0, 25)).size).toBe(20);
    expect(countOf(firsts(simulation, 100, second)).t13).toBeGreaterThan(85);
  });

  test('does not take who fails at once for fast', () => {
    const simulation = new Simulation(fastest(targets), ({ model }, _nowMs, random) =>
      model === 't0' ? { outcome: 'upstream_unavailable' } : answerIn(3000, 0.3, random),
    );
    firsts(simulation, 50, second);
    expect(countOf(firsts(simulation, 500, second)).t0 ?? 0).toBeLessThan(50);
  });

  test.each(['upstream_bad_request', 'upstream_not_found', 'upstream_content_filter'] as const)(
    'does not take who refuses everything for new, whoever is asked first: %s',
    (outcome) => {
      for (const refusing of ['t0', 't1']) {
        const simulation = new Simulation(fastest(targets), ({ model }, _nowMs, random) =>
          model === refusing ? { outcome } : answerIn(3000, 0.3, random),
        );
        expect(countOf(firsts(simulation, 500, second))[refusing] ?? 0).toBeLessThan(50);
      }
    },
  );

  test('leaves who was fast until its model was no more', () => {
    let gone = false;
    const simulation = new Simulation(fastest(targets), ({ model }, _nowMs, random) => {
      if (model === 't1') return answerIn(900, 0.3, random);
      return gone ? { outcome: 'upstream_not_found' } : answerIn(300, 0.3, random);
    });
    firsts(simulation, 200, second);
    gone = true;
    firsts(simulation, 100, second);
    expect(countOf(firsts(simulation, 500, second)).t0 ?? 0).toBeLessThan(50);
  });

  test('does not swing to and fro with a provider that flaps for an hour', () => {
    const simulation = new Simulation(fastest(targets), ({ model }, nowMs, random) => {
      const down = model === 't0' && Math.floor(nowMs / (20 * second)) % 2 === 1;
      return down ? { outcome: 'upstream_unavailable' } : answerIn(model === 't0' ? 300 : 400, 0.3, random);
    });
    let failed = 0;
    let changes = 0;
    let leader = '';
    for (let m = 0; m < 60; m++) {
      const asked: string[] = [];
      for (let i = 0; i < 120; i++) {
        const attempts = simulation.call();
        expect(attempts.length).toBeLessThanOrEqual(2);
        if (attempts.length > 1) failed++;
        asked.push(attempts.at(-1)!);
        simulation.wait(minute / 120);
      }
      const counts = countOf(asked);
      const now = (counts.t0 ?? 0) > (counts.t1 ?? 0) ? 't0' : 't1';
      if (now !== leader) changes++;
      leader = now;
    }
    expect(failed / (60 * 120)).toBeLessThan(0.05);
    expect(changes).toBeLessThan(6);
  });
});

describe('conversations of 20 turns, with 8 equal targets', () => {
  const targets = makeTargets(8);
  const children = targets.map(to);
  const price = {
    rates: {
      input: 3e6,
      cacheRead: 3e5,
      cacheWrite5m: 3e6,
      cacheWrite1h: 3e6,
      output: 15e6,
      audioInput: 0,
      audioOutput: 0,
    },
    tiers: [],
    perCall: 0,
    source: 'test',
    version: '',
  };
  const routes: [string, Route][] = [
    ['sticky', { type: 'sticky', by: 'conversation', children }],
    ['cheapest', { type: 'cheapest', steady: true, children: targets.map((each) => to({ ...each, price })) }],
    ['fastest', { type: 'fastest', steady: true, explore: 0.05, children }],
    ['least_busy', { type: 'least_busy', steady: true, children }],
  ];

  /** The share of each conversation's turns that its usual target answered, of all of them together. */
  function staying(route: Route, answerOf: ConstructorParameters<typeof Simulation>[1]): number {
    const simulation = new Simulation(route, answerOf);
    const random = seededRandom(11);
    const answeredBy = Array.from({ length: 200 }, () => [] as string[]);
    for (let call = 0; call < 200 * 20; call++) {
      // Turns of all conversations in any order, so that each sees the others' load.
      let at = Math.floor(random() * 200);
      while (answeredBy[at]!.length === 20) at = (at + 1) % 200;
      const turns = answeredBy[at]!;
      const asked = simulation.call({ prompt: `c${at}`, inputTokens: 1000 + 200 * turns.length });
      turns.push(asked.at(-1)!);
      simulation.wait(50);
    }
    const usual = answeredBy.map((turns) => Math.max(...Object.values(countOf(turns))));
    return usual.reduce((sum, turns) => sum + turns, 0) / (200 * 20);
  }

  test.each(routes)('%s keeps them where they are', (_name, route) => {
    expect(staying(route, (_target, _nowMs, random) => answerIn(400, 0.3, random))).toBeGreaterThan(0.97);
  });

  test.each(routes)('%s keeps at least 95 %% while one target flaps', (_name, route) => {
    const share = staying(route, ({ model }, nowMs, random) =>
      model === 't3' && Math.floor(nowMs / (10 * second)) % 2 === 1
        ? { outcome: 'upstream_unavailable' }
        : answerIn(400, 0.3, random),
    );
    expect(share).toBeGreaterThanOrEqual(0.95);
  });

  test('least_busy without steadiness spreads them', () => {
    const route: Route = { type: 'least_busy', steady: false, children };
    expect(staying(route, (_target, _nowMs, random) => answerIn(400, 0.3, random))).toBeLessThan(0.5);
  });
});

describe('least_busy', () => {
  const targets = makeTargets(8);
  const route: Route = { type: 'least_busy', steady: true, children: targets.map(to) };

  test('gives equal targets equal shares', () => {
    const simulation = new Simulation(route, (_target, _nowMs, random) => answerIn(400, 0.3, random));
    const counts = countOf(firsts(simulation, 4000, 20));
    for (const { model } of targets) {
      expect(counts[model]).toBeGreaterThan(450);
      expect(counts[model]).toBeLessThan(550);
    }
  });

  test('gives slow targets less, as much as they bear', () => {
    const simulation = new Simulation(route, ({ model }, _nowMs, random) =>
      answerIn(model === 't0' ? 1600 : 400, 0.3, random),
    );
    const counts = countOf(firsts(simulation, 4000, 20));
    expect(counts.t0).toBeLessThan(counts.t1! / 2.5);
    expect(counts.t0).toBeGreaterThan(counts.t1! / 6);
  });

  test('keeps counting right when calls fail', () => {
    const simulation = new Simulation(route, ({ model }, _nowMs, random) =>
      random() < 0.3 ? { outcome: 'upstream_overloaded' } : answerIn(model === 't0' ? 900 : 400, 0.3, random),
    );
    firsts(simulation, 2000, 20);
    simulation.finish();
    for (const target of targets) expect(simulation.measures.inFlight(target)).toBe(0);
  });
});
