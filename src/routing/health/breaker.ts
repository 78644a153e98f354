/** The circuit breaker of one target: whether calls are to be sent there, learned from how calls ended. */
import type { BreakerState, Turn } from '../../core/health.ts';
import { Window } from './window.ts';

/** Failures in a row that open it. */
const failuresToOpen = 5;
/** It opens too when at least this share of at least so many calls within the window failed. */
const shareToOpen = 0.5;
const callsToJudge = 20;
/** How long it is open: at first, and doubling with each time, at most. */
const firstOpenMs = 1_000;
const maxOpenMs = 30_000;
/** Up to this share of that time is taken off at random, so that many nodes do not come back at once. */
const jitter = 0.25;
/** It has to stay closed for so long before its last opening is forgotten: otherwise the next one is twice as long. */
const calmMs = 60_000;
/** A call that was to find out, and has not told by then, is waited for no longer. */
const maxTrialMs = 30_000;
/** One that is half-open and that no call asks for so long is forgotten. */
const forgetMs = 10 * 60_000;

export class Breaker {
  /** Of calls that ended since the last change: failures in a row. */
  failures = 0;
  /** The last change; -Infinity: there was none. */
  sinceMs = -Infinity;
  /** When the last opening ends, or ended. */
  untilMs = -Infinity;
  private open = false;
  /** Of the last opening; 0: there was none. */
  private lengthMs = 0;
  /** When the call began that is to find out; -Infinity: none does. */
  private trialMs = -Infinity;
  /** A request of the gateway's own has found nobody there since it opened. */
  private away = false;
  /** The last change is another node's word. */
  private adopted = false;
  /** Until then others' openings change nothing: calls of this node have found that it does well from here. */
  private sureUntilMs = -Infinity;
  private readonly window = new Window();

  /** Open or half-open. */
  get isOpen(): boolean {
    return this.open;
  }

  stateAt(nowMs: number): BreakerState {
    if (!this.open) return 'closed';
    return nowMs < this.untilMs ? 'open' : 'half-open';
  }

  mayPass(nowMs: number): boolean {
    return !this.open || (nowMs >= this.untilMs && nowMs >= this.trialMs + maxTrialMs);
  }

  /** A call is sent there: while half-open, the one that finds out. */
  begin(nowMs: number): void {
    if (this.open && this.mayPass(nowMs)) this.trialMs = nowMs;
  }

  /**
   * A call has ended that began at `begunMs`.
   * @returns whether this opened or closed it.
   */
  end(failed: boolean, nowMs: number, begunMs: number, random: () => number): boolean {
    // What began before the last change tells nothing of how it is now.
    if (begunMs < this.sinceMs) return false;
    this.failures = failed ? this.failures + 1 : 0;
    if (this.open) {
      if (!failed) this.close(nowMs);
      else if (nowMs >= this.untilMs) this.openFor(this.longer(), nowMs, random);
      else return false;
      return true;
    }
    this.window.add(failed, nowMs);
    if (!failed || !this.isBad(nowMs)) return false;
    this.openFor(nowMs - this.sinceMs < calmMs ? this.longer() : firstOpenMs, nowMs, random);
    return true;
  }

  /** A call has ended that tells nothing, such as one whose client left: if it was to find out, another may. */
  release(begunMs: number): void {
    if (this.trialMs === begunMs) this.trialMs = -Infinity;
  }

  /**
   * A request of the gateway's own has found somebody there, or nobody. Nobody: no call need find that out. Somebody
   * again: a call may find out now. Somebody who was there all the time: that is not what fails.
   */
  tested(answered: boolean, nowMs: number): void {
    if (!this.open) return;
    if (!answered) this.untilMs = Math.max(this.untilMs, nowMs + maxOpenMs);
    else if (this.away) this.untilMs = Math.min(this.untilMs, nowMs);
    this.away = !answered;
  }

  /** Closed for long, and no failure of late. */
  isQuiet(nowMs: number): boolean {
    return !this.open && nowMs - this.sinceMs >= calmMs && this.window.count(nowMs).failed === 0;
  }

  /** Half-open, and nobody has come to find out how it is: it may be a target that is asked no more. */
  isLeft(nowMs: number): boolean {
    return this.open && nowMs >= Math.max(this.untilMs, this.trialMs) + forgetMs;
  }

  /** Nothing that happened to it still matters. */
  isForgotten(nowMs: number): boolean {
    return this.failures === 0 && this.isQuiet(nowMs);
  }

  /** Calls within the window, since the last change. */
  recent(nowMs: number): { calls: number; failed: number } {
    return this.window.count(nowMs);
  }

  get turn(): Turn {
    const { sinceMs, untilMs, lengthMs } = this;
    return { state: this.open ? 'open' : 'closed', sinceMs, untilMs, lengthMs };
  }

  /**
   * Another node's word, where it is newer than what is known here. What this node has found out itself stands: it may be
   * the other one's network that fails, or this one's. @returns whether it was taken.
   */
  adopt(turn: Turn): boolean {
    if (turn.sinceMs <= this.sinceMs) return false;
    const open = turn.state === 'open';
    if (open ? turn.sinceMs < this.sureUntilMs : this.open && !this.adopted) return false;
    this.change(open, turn.sinceMs);
    this.adopted = true;
    this.untilMs = turn.untilMs;
    this.lengthMs = turn.lengthMs;
    return true;
  }

  private isBad(nowMs: number): boolean {
    if (this.failures >= failuresToOpen) return true;
    const { calls, failed } = this.window.count(nowMs);
    return calls >= callsToJudge && failed >= calls * shareToOpen;
  }

  private longer(): number {
    return Math.min(Math.max(firstOpenMs, this.lengthMs * 2), maxOpenMs);
  }

  private openFor(lengthMs: number, nowMs: number, random: () => number): void {
    this.change(true, nowMs);
    this.lengthMs = lengthMs;
    this.untilMs = nowMs + Math.round(lengthMs * (1 - jitter * random()));
  }

  private close(nowMs: number): void {
    if (this.adopted) this.sureUntilMs = nowMs + calmMs;
    this.change(false, nowMs);
    this.failures = 0;
  }

  private change(open: boolean, sinceMs: number): void {
    this.open = open;
    this.sinceMs = sinceMs;
    this.trialMs = -Infinity;
    this.away = false;
    this.adopted = false;
    this.window.clear();
  }
}
