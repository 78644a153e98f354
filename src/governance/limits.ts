/**
 * Limits of key, team and organisation: rate limits and budgets as one mechanism.
 *
 * A limit is a bound that holds. A call reserves what it may need before it is sent and is refused when
 * used + reserved + estimate > max, even if it is the only one: a call that may cost 6 USD does not run on a limit of
 * 5 USD. So a limit is exceeded by no more than what the running calls were estimated too low. Callers bound their estimates (by `max_tokens` and what the model usually writes), and
 * settle as soon as they know the truth, so that a generous estimate only blocks others while its call runs.
 */
import type { Key, Limit, Snapshot } from '../config/snapshot.ts';
import type { Alerts } from '../core/alert.ts';
import { GatewayError } from '../core/error.ts';
import type { WhenExhausted } from '../core/limit.ts';
import { Binding } from './binding.ts';
import { LimitClock } from './clock.ts';
import {
  type Amounts,
  amountOf,
  type BoundLimit,
  type Counters,
  type Exceeded,
  Lease,
  type Tally,
} from './leases.ts';
import { describe, say, spell } from './limit-words.ts';

export interface Limiter {
  /**
   * All limits on a key's path, the key's own first, and those of the end user that the call names ('': none).
   * The same list for as long as snapshot, key and end user are the same.
   */
  limitsOf(
    snapshot: Pick<Snapshot, 'teams' | 'organisations'>,
    key: Key,
    endUser?: string,
  ): readonly BoundLimit[];
  /**
   * Reserves one request, one running call and `estimate` with every limit, or with none.
   * @returns a promise only where a limit is shared with other nodes, which have to be asked for more of it.
   * @throws GatewayError `budget_exceeded` (usd) or `rate_limited` (the rest), saying whose limit it is and when to retry.
   */
  reserve(limits: readonly BoundLimit[], estimate: Amounts, nowMs: number): Lease | Promise<Lease>;
  /**
   * Raises a reservation to these totals; what is already reserved stays.
   * @returns why a limit does not bear that, as `reserve` would have said it; then nothing changes. A promise as there.
   */
  raise(lease: Lease, totals: Amounts, nowMs: number): Refused | Promise<Refused>;
  /**
   * Raises the reservation of a call that runs, as far as limits cut it off: those that let answers finish hold it in any
   * case. @returns as `raise`.
   */
  topUp(lease: Lease, totals: Amounts, nowMs: number): Refused | Promise<Refused>;
  /** How much more than is used and reserved these limits bear; Infinity where none counts it. */
  room(limits: readonly BoundLimit[], nowMs: number): Amounts;
  /**
   * Whether these limits bear `needs` so many times over that nobody has to know it exactly: more may be held then than
   * is needed, as long as little is held in all. Never so of what other nodes have to be asked for.
   */
  isAmple(limits: readonly BoundLimit[], needs: Amounts, nowMs: number): boolean;
  /** How full a limit is, without touching it. */
  look(limit: BoundLimit, nowMs: number): { used: number; reserved: number };
  /** Books what was used without having been reserved, whatever the limits say to it. */
  book(limits: readonly BoundLimit[], used: Amounts, nowMs: number): void;
}

/** Why a limit does not bear something; undefined: all do. */
export type Refused = GatewayError | undefined;

const strictness: Readonly<Record<WhenExhausted, number>> = { finish: 1, cut: 2, refuse: 3 };

/** What becomes of a call that needs more tokens or money than is left; undefined: no limit counts them. */
export function whenExhausted(limits: readonly BoundLimit[]): WhenExhausted | undefined {
  let strictest: WhenExhausted | undefined;
  for (const { limit } of limits) {
    if (limit.unit !== 'tokens' && limit.unit !== 'usd') continue;
    if (strictest === undefined || strictness[limit.whenExhausted] > strictness[strictest])
      strictest = limit.whenExhausted;
  }
  return strictest;
}

/** What they bear when nothing is used of any; Infinity where none counts it. */
export function capacityOf(limits: readonly BoundLimit[]): Amounts {
  let tokens = Infinity;
  let nanoUsd = Infinity;
  for (const { limit } of limits) {
    if (limit.unit === 'tokens') tokens = Math.min(tokens, limit.max);
    else if (limit.unit === 'usd') nanoUsd = Math.min(nanoUsd, limit.max);
  }
  return { tokens, nanoUsd };
}

/** Ample is what is left for so many calls like it. */
const timesOver = 64;
/** No more than one part in so many of a limit is held by calls of which nobody knows exactly what they need. */
const mostLoose = 8;

/** So often is a shared limit asked for more, where other calls were quicker to take it. */
const maxAsked = 50;

/**
 * @param counters belong to this limiter alone: it is its clock that they count by.
 * @param alerts are told of soft limits.
 */
export function createLimiter(counters: Counters, alerts?: Alerts, steadyMs?: () => number): Limiter {
  const clock = new LimitClock((nowMs) => counters.setBack(nowMs), steadyMs);
  const binding = new Binding(alerts && ((alert) => alerts.raise(alert)));

  const tallyOf = (one: BoundLimit, nowMs: number): Tally => {
    if (one.tally.endsAtMs <= nowMs) {
      one.tally = counters.open(one.counter, one.limit.window, nowMs);
      one.tally.follow?.(one.watch);
    }
    return one.tally;
  };

  /** Goes on behind what is taken already. @returns the limit that does not bear it. */
  const take = (
    limits: readonly BoundLimit[],
    { tokens, nanoUsd }: Amounts,
    now: number,
    taken: Tally[],
  ): Exceeded | undefined => {
    for (let i = taken.length; i < limits.length; i++) {
      const bound = limits[i]!;
      const amount = amountOf(bound.limit.unit, tokens, nanoUsd);
      const tally = tallyOf(bound, now);
      if (!tally.take(amount, bound.limit.max, now)) return { bound, tally, amount, held: 0 };
      taken.push(tally);
    }
    return undefined;
  };

  const raise = (lease: Lease, totals: Amounts, nowMs: number, finishing: boolean) => {
    const exceeded = lease.raise(totals, clock.tell(nowMs), finishing);
    if (exceeded?.tally.more === undefined) return exceeded && refuse(exceeded, clock.nowMs);
    const steps: number[] = [];
    let from = lease.amounts;
    return asking(exceeded, clock, () => {
      const { tokens, nanoUsd } = lease.amounts;
      // It has ended, or was raised by another meanwhile: what was taken is to be taken anew.
      if (!lease.isOpen || tokens !== from.tokens || nanoUsd !== from.nanoUsd)
        lease.lower(steps, clock.nowMs);
      from = { tokens, nanoUsd };
      return lease.raise(totals, clock.nowMs, finishing, steps);
    }).then((refused) => {
      if (refused === undefined) return undefined;
      lease.lower(steps, clock.nowMs);
      return lease.isOpen ? refuse(refused, clock.nowMs) : undefined;
    });
  };

  return {
    limitsOf: (snapshot, key, endUser) => binding.limitsOf(snapshot, key, endUser),
    reserve(limits, { tokens, nanoUsd }, nowMs) {
      const needs = { tokens: Math.max(0, tokens), nanoUsd: Math.max(0, nanoUsd) };
      const taken: Tally[] = [];
      const exceeded = take(limits, needs, clock.tell(nowMs), taken);
      if (exceeded === undefined) return new Lease(limits, taken, needs.tokens, needs.nanoUsd);
      if (exceeded.tally.more === undefined) throw letGo(limits, taken, needs, exceeded, clock.nowMs);
      return asking(exceeded, clock, () => take(limits, needs, clock.nowMs, taken)).then((refused) => {
        if (refused === undefined) return new Lease(limits, taken, needs.tokens, needs.nanoUsd);
        throw letGo(limits, taken, needs, refused, clock.nowMs);
      });
    },
    raise: (lease, totals, nowMs) => raise(lease, totals, nowMs, false),
    topUp: (lease, totals, nowMs) => raise(lease, totals, nowMs, true),
    room(limits, nowMs) {
      const now = clock.tell(nowMs);
      let tokens = Infinity;
      let nanoUsd = Infinity;
      for (const one of limits) {
        const { unit, max } = one.limit;
        if (unit !== 'tokens' && unit !== 'usd') continue;
        const tally = tallyOf(one, now);
        const left = Math.max(0, max - tally.used(now) - tally.reserved);
        if (unit === 'tokens') tokens = Math.min(tokens, left);
        else nanoUsd = Math.min(nanoUsd, left);
      }
      return { tokens, nanoUsd };
    },
    isAmple(limits, { tokens, nanoUsd }, nowMs) {
      const now = clock.tell(nowMs);
      for (const one of limits) {
        const { unit, max } = one.limit;
        if (unit !== 'tokens' && unit !== 'usd') continue;
        const tally = tallyOf(one, now);
        const { reserved } = tally;
        const amount = amountOf(unit, tokens, nanoUsd);
        if (tally.more !== undefined || !((reserved + amount) * mostLoose <= max)) return false;
        if (amount * timesOver > max - tally.used(now) - reserved) return false;
      }
      return true;
    },
    look(limit, nowMs) {
      // Before the first call it is not known which windows run.
      if (clock.nowMs === -Infinity) clock.tell(Date.now());
      // Asked about the past or the future, it is now that is looked at, or nothing that counts any more.
      const now = Math.max(clock.nowMs, nowMs);
      const tally = tallyOf(limit, clock.nowMs);
      return tally.endsAtMs <= now
        ? { used: 0, reserved: 0 }
        : { used: tally.used(now), reserved: tally.reserved };
    },
    book(limits, { tokens, nanoUsd }, nowMs) {
      const now = clock.tell(nowMs);
      for (const one of limits) {
        const { unit } = one.limit;
        if (unit === 'tokens' || unit === 'usd')
          tallyOf(one, now).settle(0, amountOf(unit, tokens, nanoUsd), now);
      }
    },
  };
}

/** Gives back what was taken of a call's limits. @returns why there is no more. */
function letGo(
  limits: readonly BoundLimit[],
  taken: readonly Tally[],
  { tokens, nanoUsd }: Amounts,
  refused: Exceeded,
  nowMs: number,
): GatewayError {
  new Lease(limits.slice(0, taken.length), taken, tokens, nanoUsd).cancel(nowMs);
  return refuse(refused, nowMs);
}

/**
 * Asks for more of what did not suffice, then goes on. What was taken of other limits is held meanwhile: it would else be
 * given to others, and had to be asked for again. All calls take in the same order, so that none waits for another.
 */
async function asking(
  exceeded: Exceeded,
  clock: LimitClock,
  goOn: () => Exceeded | undefined,
): Promise<Exceeded | undefined> {
  let refused: Exceeded | undefined = exceeded;
  for (let asked = 0; refused !== undefined && asked < maxAsked; asked++) {
    const { tally, amount, held, bound }: Exceeded = refused;
    if ((await tally.more?.(amount - held, bound.limit.max, clock.nowMs)) !== true) return refused;
    refused = goOn();
  }
  return refused;
}

function refuse({ bound, tally, amount, held }: Exceeded, nowMs: number): GatewayError {
  const { owner, ownerName, limit } = bound;
  const whose = owner === 'end_user' ? 'end user' : owner;
  const used = tally.used(nowMs);
  // Nothing but running calls is in the way, which may end any moment. Requests are used up all the same.
  const soon = limit.unit !== 'requests' && used + amount <= limit.max;
  const retryAtMs = soon ? nowMs : tally.retryAtMs(amount, limit.max, nowMs);
  const waitS = Math.max(1, Math.ceil((retryAtMs - nowMs) / 1000));
  const hopeless = waitS === Infinity;
  if (!soon && amount <= limit.max) bound.watch?.(tally, nowMs, true);
  if (tally.isCutOff === true && amount <= limit.max) return refuseCutOff(bound);
  return new GatewayError(
    limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limited',
    `The ${whose} "${ownerName}" is limited to ${describe(limit)}: ${say(limit, used)} used, ` +
      `${say(limit, tally.reserved - held)} held by running calls, and this call needs ${say(limit, amount)}. ` +
      advise(limit, amount, soon, waitS),
    {
      retryAfterS: hopeless ? undefined : waitS,
      hopeless,
      code: limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limit_exceeded',
    },
  );
}

/** So soon it is worth to try again when what nodes share limits through is away. */
const cutOffS = 5;

function refuseCutOff({ owner, ownerName, limit }: BoundLimit): GatewayError {
  return new GatewayError(
    limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limited',
    `The ${owner} "${ownerName}" is limited to ${describe(limit)}, counted together with other gateways. They cannot be ` +
      `reached just now, and this gateway's part of the limit is used up. Retry in ${cutOffS} s.`,
    {
      retryAfterS: cutOffS,
      code: limit.unit === 'usd' ? 'budget_exceeded' : 'rate_limit_exceeded',
    },
  );
}

function advise(limit: Limit, amount: number, soon: boolean, waitS: number): string {
  if (soon) return 'Retry when a running call has ended.';
  if (amount > limit.max)
    return 'Waiting does not help: ask for less (max tokens), or have the limit raised.';
  if (waitS === Infinity) return 'Waiting does not help: have the limit raised.';
  const { window } = limit;
  if (window?.sliding !== false) return `Retry in ${spell(waitS)}, when enough of it lies further back.`;
  return `Retry in ${spell(waitS)}, when the ${window.per} ends (${window.timeZone}).`;
}
