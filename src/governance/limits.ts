/**
 * Limits of key, team and organisation: rate limits and budgets as one mechanism.
 *
 * A limit is a bound that holds. A call reserves what it may need before it is sent and is refused when
 * used + reserved + estimate > max, even if it is the only one: a call that may cost 6 USD does not run on a limit of
 * 5 USD. So a limit is exceeded by no more than what the running calls were estimated too low. Callers bound their estimates (by `max_tokens` and what the model usually writes), and
 * settle as soon as they know the truth, so that a generous estimate only blocks others while its call runs.
 */
import type { Key, Limit, Snapshot } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';
import { formatUsd } from '../core/money.ts';
import {
  type Amounts,
  amountOf,
  type BoundLimit,
  type Counters,
  counterName,
  type Exceeded,
  Lease,
  type Owner,
  type Tally,
} from './leases.ts';

export interface Limiter {
  /** All limits on a key's path, the key's own first. The same list for as long as snapshot and key are the same. */
  limitsOf(snapshot: Pick<Snapshot, 'teams' | 'organisations'>, key: Key): readonly BoundLimit[];
  /**
   * Reserves one request, one running call and `estimate` with every limit, or with none.
   * @throws GatewayError `budget_exceeded` (usd) or `rate_limited` (the rest), saying whose limit it is and when to retry.
   */
  reserve(limits: readonly BoundLimit[], estimate: Amounts, nowMs: number): Lease;
  /**
   * Raises a reservation to these totals; what is already reserved stays.
   * @returns why a limit does not bear that, as `reserve` would have said it; then nothing changes.
   */
  raise(lease: Lease, totals: Amounts, nowMs: number): GatewayError | undefined;
  /** How full a limit is, without touching it. */
  look(limit: BoundLimit, nowMs: number): { used: number; reserved: number };
  /** Books what was used without having been reserved, whatever the limits say to it. */
  book(limits: readonly BoundLimit[], used: Amounts, nowMs: number): void;
}

/** Stands for the window of a counter that was not looked up yet. */
const ended: Tally = { endsAtMs: -Infinity, used: 0, reserved: 0, take: () => false, settle() {} };

/** `counters` belong to this limiter alone: it is its clock that never goes backwards. */
export function createLimiter(counters: Counters): Limiter {
  let boundFor: object | undefined;
  let bound = new WeakMap<Key, readonly BoundLimit[]>();
  /** The latest time seen: while a clock that was set back catches up, time stands still, and no window opens anew. */
  let clockMs = -Infinity;

  const tallyOf = (one: BoundLimit): Tally => {
    if (one.tally.endsAtMs <= clockMs) one.tally = counters.open(one.counter, one.limit.per, clockMs);
    return one.tally;
  };

  return {
    limitsOf(snapshot, key) {
      if (boundFor !== snapshot) {
        boundFor = snapshot;
        bound = new WeakMap();
      }
      let limits = bound.get(key);
      if (limits === undefined) {
        limits = bindLimits(snapshot, key);
        bound.set(key, limits);
      }
      return limits;
    },
    reserve(limits, estimate, nowMs) {
      if (nowMs > clockMs) clockMs = nowMs;
      const tokens = Math.max(0, estimate.tokens);
      const nanoUsd = Math.max(0, estimate.nanoUsd);
      const tallies: Tally[] = [];
      for (const one of limits) {
        const amount = amountOf(one.limit.unit, tokens, nanoUsd);
        if (!tallyOf(one).take(amount, one.limit.max)) {
          new Lease(limits.slice(0, tallies.length), tallies, tokens, nanoUsd).cancel();
          throw refuse({ bound: one, tally: one.tally, amount, held: 0 }, clockMs);
        }
        tallies.push(one.tally);
      }
      return new Lease(limits, tallies, tokens, nanoUsd);
    },
    raise(lease, totals, nowMs) {
      if (nowMs > clockMs) clockMs = nowMs;
      const exceeded = lease.raise(totals);
      return exceeded && refuse(exceeded, clockMs);
    },
    look(limit, nowMs) {
      const { endsAtMs, used, reserved } = tallyOf(limit);
      return endsAtMs <= nowMs ? { used: 0, reserved: 0 } : { used, reserved };
    },
    book(limits, { tokens, nanoUsd }, nowMs) {
      if (nowMs > clockMs) clockMs = nowMs;
      for (const one of limits) {
        const { unit } = one.limit;
        if (unit === 'tokens' || unit === 'usd') tallyOf(one).settle(0, amountOf(unit, tokens, nanoUsd));
      }
    },
  };
}

/** A limit that is on no key's path. */
export function bindLimit(owner: Owner, name: string, limit: Limit): BoundLimit {
  const counter = counterName(owner, name, limit.unit, limit.per);
  return { owner, ownerName: name, limit, counter, tally: ended };
}

function bindLimits(snapshot: Pick<Snapshot, 'teams' | 'organisations'>, key: Key): readonly BoundLimit[] {
  const bound = new Map<string, BoundLimit>();
  const bind = (owner: Owner, id: string, ownerName: string, limits: readonly Limit[] = []) => {
    for (const limit of limits) {
      const counter = counterName(owner, id, limit.unit, limit.per);
      // Two limits on one counter would count each call twice; the stricter implies the other.
      const other = bound.get(counter);
      if (other !== undefined && other.limit.max <= limit.max) continue;
      bound.set(counter, { owner, ownerName, limit, counter, tally: ended });
    }
  };
  bind('key', key.name, key.name, key.limits);
  bind('team', key.team, key.team, snapshot.teams.get(key.team)?.limits);
  bind(
    'organisation',
    key.organisation,
    key.organisation,
    snapshot.organisations?.get(key.organisation)?.limits,
  );
  return [...bound.values()];
}

function refuse({ bound, tally, amount, held }: Exceeded, nowMs: number): GatewayError {
  const { owner, ownerName, limit } = bound;
  // Nothing but running calls is in the way, which may end any moment. Requests are used up all the same.
  const soon = limit.unit !== 'requests' && tally.used + amount <= limit.max;
  const waitS = soon ? 1 : Math.max(1, Math.ceil((tally.endsAtMs - nowMs) / 1000));
  const hopeless = waitS === Infinity || amount > limit.max;
  return new GatewayError(
    limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limited',
    `The ${owner} "${ownerName}" is limited to ${describe(limit)}: ${say(limit, tally.used)} used, ` +
      `${say(limit, tally.reserved - held)} held by running calls, and this call needs ${say(limit, amount)}. ` +
      advise(limit, amount, soon, waitS),
    {
      retryAfterS: hopeless ? undefined : waitS,
      hopeless,
      code: limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limit_exceeded',
    },
  );
}

function advise(limit: Limit, amount: number, soon: boolean, waitS: number): string {
  if (soon) return 'Retry when a running call has ended.';
  if (waitS === Infinity) return 'Waiting does not help: have the limit raised.';
  if (amount > limit.max)
    return 'Waiting does not help: ask for less (max tokens), or have the limit raised.';
  return `Retry in ${waitS} s, when the ${limit.per} ends (UTC).`;
}

/** `5 USD per day`, `8 calls at once`. */
function describe(limit: Limit): string {
  if (limit.unit === 'concurrency') return `${limit.max} ${limit.max === 1 ? 'call' : 'calls'} at once`;
  const unit = limit.unit === 'usd' ? 'USD' : limit.unit;
  return `${say(limit, limit.max)} ${unit}${limit.per === undefined ? '' : ` per ${limit.per}`}`;
}

function say(limit: Limit, amount: number): string {
  return limit.unit === 'usd' && Number.isSafeInteger(amount) ? formatUsd(amount) : String(amount);
}
