/** What is learned of targets while calls run: how fast they are, how much they write, how busy they are. */
import type { Key, Target } from '../config/snapshot.ts';
import type { Health } from './health.ts';
import { Conversations, cacheLifeMs } from './measures/conversations.ts';
import { Generations } from './measures/generations.ts';
import { Habits } from './measures/habits.ts';
import { type Ended, minCachedTokens, TargetMeasures } from './measures/target-measures.ts';
import type { Sight } from './moment.ts';

/** Clients may name any model of a provider: beyond this those make room that were not asked for longest. */
const maxTargets = 10_000;
/** Keys whose habits are known. */
const maxKeys = 10_000;

/** Who answered so lately is taken to answer still. */
const answeringMs = 30_000;

/** Everything is found by names, not by objects: a reload of the configuration changes nothing of it. */
export class Measures implements Omit<Sight, 'isHealthy'> {
  private readonly targets = new Generations<TargetMeasures>(maxTargets, ({ inFlight }) => inFlight > 0);
  /** By key, whatever the target. */
  private readonly keys = new Generations<Habits>(maxKeys);
  private readonly conversations = new Conversations();
  /** Of the target that was looked at last: questions about one come together. */
  private lastId = '';
  private last: TargetMeasures | undefined;

  /** An attempt is about to leave. */
  began({ id }: Target): void {
    this.of(id).inFlight++;
  }

  /** The first token of a streamed answer has come: told at once, because the rest may take minutes. */
  sawFirst({ id }: Target, firstTokenMs: number, nowMs: number): void {
    const measures = this.of(id);
    measures.answeredMs = nowMs;
    measures.sawFirst(firstTokenMs, nowMs);
  }

  /** One that began has ended. */
  ended({ id }: Target, key: Key, end: Ended, nowMs: number): void {
    const measures = this.of(id);
    if (measures.inFlight > 0) measures.inFlight--;
    measures.ended(end, nowMs);
    const { inputTokens, cachedTokens, outputTokens } = end;
    // Without any token it was no answer in words.
    if (end.outcome !== 'ok' || outputTokens === 0) return;
    const habits = habitsOf(measures.habits, key.id);
    habits.answered(outputTokens);
    if (end.inputRatio !== undefined) habits.asked(end.inputRatio);
    if (end.returned && inputTokens >= minCachedTokens) habits.returned(cachedTokens / inputTokens);
    habitsOf(this.keys, key.id).answered(outputTokens);
  }

  /** A conversation was answered by a target, whose prompt cache knows it now for about `lifeMs`. */
  keep(conversation: string, { id }: Target, nowMs: number, lifeMs = cacheLifeMs): void {
    this.conversations.keep(conversation, id, lifeMs, nowMs);
  }

  /** Whether it has answered anybody within the last half minute. */
  answersAt({ id }: Target, nowMs: number): boolean {
    return nowMs - (this.find(id)?.answeredMs ?? -Infinity) <= answeringMs;
  }

  firstTokenMs({ id }: Target, nowMs: number): number | undefined {
    return this.find(id)?.speed.firstTokenMs(nowMs);
  }

  lateFirstTokenMs({ id }: Target, nowMs: number, stream = true): number | undefined {
    return this.find(id)?.lateMs(stream, nowMs);
  }

  tokensPerSecond({ id }: Target, nowMs: number): number | undefined {
    return this.find(id)?.speed.tokensPerSecond(nowMs);
  }

  failureShare({ id }: Target, nowMs: number): number {
    return this.find(id)?.speed.failureShare(nowMs) ?? 0;
  }

  recentCalls({ id }: Target, nowMs: number): number {
    return this.find(id)?.speed.recentCalls(nowMs) ?? 0;
  }

  isUnsettled({ id }: Target, nowMs: number): boolean {
    return this.find(id)?.speed.isUnsettled(nowMs) ?? false;
  }

  outputTokens({ id }: Target, key: Key): number | undefined {
    return this.find(id)?.habits.peek(key.id)?.outputTokens ?? this.keys.peek(key.id)?.outputTokens;
  }

  /** What nine of ten of the key's answers are no longer than, there or, where none is known, elsewhere. */
  highOutputTokens({ id }: Target, key: Key): number | undefined {
    return this.find(id)?.habits.peek(key.id)?.highOutputTokens ?? this.keys.peek(key.id)?.highOutputTokens;
  }

  /** What nineteen of twenty of the key's prompts keep below there, of what they were taken to have at most. */
  inputRatio({ id }: Target, key: Key): number | undefined {
    return this.find(id)?.habits.peek(key.id)?.inputRatio;
  }

  cachedShare({ id }: Target, key: Key): number | undefined {
    return this.find(id)?.habits.peek(key.id)?.cachedShare;
  }

  inFlight({ id }: Target): number {
    return this.find(id)?.inFlight ?? 0;
  }

  keptBy(conversation: string, nowMs: number): string | undefined {
    return this.conversations.keptBy(conversation, nowMs);
  }

  private find(id: string): TargetMeasures | undefined {
    if (id !== this.lastId) {
      this.lastId = id;
      this.last = this.targets.peek(id);
    }
    return this.last;
  }

  private of(id: string): TargetMeasures {
    let measures = this.targets.use(id);
    if (measures === undefined) {
      measures = new TargetMeasures();
      this.targets.set(id, measures);
      this.lastId = '';
    }
    return measures;
  }
}

function habitsOf(all: Generations<Habits>, key: string): Habits {
  let habits = all.use(key);
  if (habits === undefined) {
    habits = new Habits();
    all.set(key, habits);
  }
  return habits;
}

/** All that is known, as one. */
export function createSight(health: Health, measures: Measures): Sight {
  return {
    isHealthy: health.isHealthy,
    firstTokenMs: (target, nowMs) => measures.firstTokenMs(target, nowMs),
    lateFirstTokenMs: (target, nowMs, stream) => measures.lateFirstTokenMs(target, nowMs, stream),
    tokensPerSecond: (target, nowMs) => measures.tokensPerSecond(target, nowMs),
    failureShare: (target, nowMs) => measures.failureShare(target, nowMs),
    recentCalls: (target, nowMs) => measures.recentCalls(target, nowMs),
    isUnsettled: (target, nowMs) => measures.isUnsettled(target, nowMs),
    outputTokens: (target, key) => measures.outputTokens(target, key),
    highOutputTokens: (target, key) => measures.highOutputTokens(target, key),
    inputRatio: (target, key) => measures.inputRatio(target, key),
    cachedShare: (target, key) => measures.cachedShare(target, key),
    inFlight: (target) => measures.inFlight(target),
    keptBy: (conversation, nowMs) => measures.keptBy(conversation, nowMs),
  };
}
