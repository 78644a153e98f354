/** One key of a provider: until when it is set aside, for all models or for some. */
import type { Aside, Limited, LimitedModel } from '../../core/health.ts';

/** How long a key is set aside: at first, and doubling with each time until it does well again, at most. */
const paces = {
  refused: { firstMs: 5 * 60_000, maxMs: 60 * 60_000 },
  limited: { firstMs: 5_000, maxMs: 60_000 },
} as const;

/** The longest wait a provider's `retry-after` may impose. */
const maxRetryAfterMs = 60 * 60_000;
/** The longest a key rests whose limit is used up: until it is refused, that is only foresight. */
const maxUsedUpMs = 60_000;
/** Limited models remembered of a key, at most; clients may name any, so the oldest make room. */
const maxModels = 1000;

interface Rest {
  untilMs: number;
  /** How long the last time was; 0 when all has been well since. */
  lengthMs: number;
}

/** What many providers limit for each model by itself. */
interface LimitedRest extends Rest {
  why: Limited;
}

/** All times are milliseconds since 1970. */
export class KeyHealth {
  /** The provider does not take it, whatever the model. */
  private readonly refused: Rest = { untilMs: -Infinity, lengthMs: 0 };
  private readonly limited = new Map<string, LimitedRest>();

  constructor(
    readonly id: string,
    /** Of its secret. */
    readonly digest: string,
  ) {}

  get refusedUntilMs(): number {
    return this.refused.untilMs;
  }

  /** Until when it is not to be used for that model; in the past: it may be. */
  untilMs(model: string): number {
    const { untilMs } = this.refused;
    if (this.limited.size === 0) return untilMs;
    return Math.max(untilMs, this.limited.get(model)?.untilMs ?? -Infinity);
  }

  /** @returns whether that is news: calls that were under way when it was set aside tell nothing new. */
  refuse(nowMs: number): boolean {
    if (this.refused.untilMs > nowMs) return false;
    prolong(this.refused, paces.refused, nowMs);
    return true;
  }

  /** The provider's word on when to come back counts, else our guess. @returns whether that is news. */
  limit(model: string, retryAfterS: number | undefined, nowMs: number): boolean {
    const limited = this.limitedAt(model);
    const aside = limited.untilMs > nowMs;
    if (!aside || limited.why !== 'rate_limited') prolong(limited, paces.limited, nowMs);
    limited.why = 'rate_limited';
    if (retryAfterS !== undefined && retryAfterS > 0) {
      limited.untilMs = nowMs + Math.min(retryAfterS * 1000, maxRetryAfterMs);
    }
    return !aside;
  }

  /** @returns whether that is news. */
  useUp(model: string, restMs: number, nowMs: number): boolean {
    const untilMs = nowMs + Math.min(restMs, maxUsedUpMs);
    if (untilMs <= this.untilMs(model)) return false;
    const limited = this.limitedAt(model);
    const aside = limited.untilMs > nowMs;
    limited.untilMs = untilMs;
    limited.why = 'used_up';
    return !aside;
  }

  /**
   * It did well with that model in a call that began at `begunMs`. A refused key that works lives, unless the call is
   * from before it was refused. A limited one waits on.
   * @returns whether it is taken back.
   */
  recover(model: string, nowMs: number, begunMs: number): boolean {
    if (this.limited.size > 0) this.recoverFor(model, nowMs);
    const { refused } = this;
    if (refused.lengthMs > 0 && begunMs < refused.untilMs - refused.lengthMs) return false;
    refused.lengthMs = 0;
    if (refused.untilMs <= nowMs) return false;
    refused.untilMs = nowMs;
    return true;
  }

  /** The models it is set aside for. */
  limitedModels(nowMs: number): LimitedModel[] {
    const found: LimitedModel[] = [];
    for (const [model, { untilMs, why }] of this.limited) {
      if (untilMs > nowMs) found.push({ model, untilMs, why });
    }
    return found;
  }

  /** Another node's word. @param model undefined: for all of them. */
  adopt(model: string | undefined, untilMs: number, why: Aside): void {
    if (model === undefined) this.refused.untilMs = untilMs;
    else if (why !== 'refused') Object.assign(this.limitedAt(model), { untilMs, why });
  }

  private recoverFor(model: string, nowMs: number): void {
    const limited = this.limited.get(model);
    if (limited === undefined) return;
    limited.lengthMs = 0;
    if (limited.untilMs <= nowMs) this.limited.delete(model);
  }

  private limitedAt(model: string): LimitedRest {
    let limited = this.limited.get(model);
    if (limited === undefined) {
      limited = { untilMs: -Infinity, lengthMs: 0, why: 'rate_limited' };
      if (this.limited.size >= maxModels) this.limited.delete(this.limited.keys().next().value!);
      this.limited.set(model, limited);
    }
    return limited;
  }
}

function prolong(rest: Rest, { firstMs, maxMs }: { firstMs: number; maxMs: number }, nowMs: number): void {
  rest.lengthMs = rest.lengthMs === 0 ? firstMs : Math.min(rest.lengthMs * 2, maxMs);
  rest.untilMs = nowMs + rest.lengthMs;
}
