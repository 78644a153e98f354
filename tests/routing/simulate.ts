/** Calls by a route under a clock of their own, with all that the gateway learns from them: for tests of how routes behave. */
import type { Route } from '../../src/config/route.ts';
import type { Target } from '../../src/config/snapshot.ts';
import type { ErrorKind } from '../../src/core/error.ts';
import type { Outcome } from '../../src/core/record.ts';
import { bondNames, fateOf } from '../../src/routing/bonds.ts';
import { createHealth } from '../../src/routing/health.ts';
import { createSight, Measures } from '../../src/routing/measures.ts';
import type { Ask } from '../../src/routing/moment.ts';
import { Plan, type Step } from '../../src/routing/plan.ts';
import { failure, key, momentWith, seededRandom } from './targets.ts';

/** What a target does with an attempt. */
export interface Answer {
  outcome?: Outcome;
  /** Of a stream; default: 100. */
  firstMs?: number;
  /** Default: 1000. */
  durationMs?: number;
  /** Default: 100. */
  outputTokens?: number;
  /** Share of the prompt that came from its cache. */
  cached?: number;
}

export class Simulation {
  readonly measures = new Measures();
  readonly health = createHealth({ random: () => 0.5 });
  nowMs = Date.UTC(2026, 0, 15);
  private readonly sight = createSight(this.health, this.measures);
  private readonly random: () => number;
  private running: { endMs: number; end: () => void }[] = [];

  constructor(
    private readonly route: Route,
    private readonly answerOf: (target: Target, nowMs: number, random: () => number) => Answer,
    seed = 1,
  ) {
    this.random = seededRandom(seed);
  }

  /** Time passes, and calls end. */
  wait(ms: number): void {
    const untilMs = this.nowMs + ms;
    this.running.sort((a, b) => a.endMs - b.endMs);
    while (this.running.length > 0 && this.running[0]!.endMs <= untilMs) {
      const { endMs, end } = this.running.shift()!;
      this.nowMs = Math.max(this.nowMs, endMs);
      end();
    }
    this.nowMs = untilMs;
  }

  /** All calls come to their end. */
  finish(): void {
    while (this.running.length > 0) this.wait(60_000);
  }

  /** One call; attempts that fail do so at once. @returns who was asked, the last one having answered, if any did. */
  call(ask: Partial<Ask> = {}): string[] {
    const { random } = this;
    const plan = new Plan(this.route, {
      ...momentWith({ ask }),
      nowMs: this.nowMs,
      random,
      sight: this.sight,
    });
    const asked: string[] = [];
    for (let step = plan.next(this.nowMs); step !== undefined; step = plan.next(this.nowMs)) {
      asked.push(step.target.model);
      const outcome = this.ask(step, ask.inputTokens ?? 100);
      plan.report(outcome === 'ok' ? 'ok' : failureOf(outcome));
    }
    return asked;
  }

  private ask(step: Step, inputTokens: number): Outcome {
    const { target } = step;
    const {
      outcome = 'ok',
      firstMs = 100,
      durationMs = 1000,
      outputTokens = 100,
      cached = 0,
    } = this.answerOf(target, this.nowMs, this.random);
    this.measures.began(target);
    const ok = outcome === 'ok';
    const end = () => {
      const cachedTokens = Math.round(inputTokens * cached);
      const counts = ok ? { inputTokens, cachedTokens, outputTokens } : noTokens;
      const returned = fateOf(step) === 'kept';
      const times = { firstByteMs: ok ? firstMs : undefined, durationMs: ok ? durationMs : 5 };
      this.measures.ended(
        target,
        key,
        { outcome, stream: true, returned, restedMs: 0, firstTold: ok, ...counts, ...times },
        this.nowMs,
      );
      if (!ok) return;
      for (const name of bondNames(step)) this.measures.keep(name, target, this.nowMs);
    };
    this.health.report(target, target.provider.keys[0], ok ? 'ok' : failureOf(outcome), this.nowMs);
    if (!ok) end();
    else {
      const first = () => this.measures.sawFirst(target, firstMs, this.nowMs);
      this.running.push({ endMs: this.nowMs + firstMs, end: first }, { endMs: this.nowMs + durationMs, end });
    }
    return outcome;
  }
}

const failureOf = (outcome: Outcome) => failure(outcome as ErrorKind);

const noTokens = { inputTokens: 0, cachedTokens: 0, outputTokens: 0 };

/** How often each name occurs. */
export function countOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** A number at most `share` off `mean`, each as probable. */
export function noisy(mean: number, share: number, random: () => number): number {
  return mean * (1 + share * (2 * random() - 1));
}
