/** What is learned of targets while calls run: how fast they are, how much they write, how busy they are. */
import type { Key, Target } from '../config/snapshot.ts';
import type { Health } from './health.ts';
import type { Sight } from './moment.ts';

/** How an attempt ended. */
export interface Ended {
  /** It answered, to its end. */
  ok: boolean;
  /** From dispatch to the first meaningful bytes; undefined where none came. */
  firstTokenMs: number | undefined;
  durationMs: number;
  stream: boolean;
  outputTokens: number;
}

export class Measures implements Omit<Sight, 'isHealthy'> {
  began(_target: Target): void {}

  ended(_target: Target, _key: Key, _end: Ended, _nowMs: number): void {}

  /** A conversation was answered by a target, whose prompt cache may know it now. */
  keep(_conversation: string, _target: Target, _nowMs: number): void {}

  firstTokenMs(_target: Target, _nowMs: number): number | undefined {
    return undefined;
  }

  lateFirstTokenMs(_target: Target, _nowMs: number): number | undefined {
    return undefined;
  }

  tokensPerSecond(_target: Target, _nowMs: number): number | undefined {
    return undefined;
  }

  outputTokens(_target: Target, _key: Key): number | undefined {
    return undefined;
  }

  inFlight(_target: Target): number {
    return 0;
  }

  keptBy(_conversation: string, _nowMs: number): string | undefined {
    return undefined;
  }
}

/** All that is known, as one. */
export function createSight(health: Health, measures: Measures): Sight {
  return {
    isHealthy: health.isHealthy,
    firstTokenMs: (target, nowMs) => measures.firstTokenMs(target, nowMs),
    lateFirstTokenMs: (target, nowMs) => measures.lateFirstTokenMs(target, nowMs),
    tokensPerSecond: (target, nowMs) => measures.tokensPerSecond(target, nowMs),
    outputTokens: (target, key) => measures.outputTokens(target, key),
    inFlight: (target) => measures.inFlight(target),
    keptBy: (conversation, nowMs) => measures.keptBy(conversation, nowMs),
  };
}
