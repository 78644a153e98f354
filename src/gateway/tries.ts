/** Which target is asked next, and with which key: the one place that decides about another attempt. */
import type { ProviderKey, Target } from '../config/snapshot.ts';
import { GatewayError, toGatewayError } from '../core/error.ts';
import { maxAttempts, type Plan } from '../routing/route.ts';
import type { Call } from './call.ts';
import type { Inbound, Outbound } from './render.ts';

/** With these another key of the same provider may do better. */
const keyTrouble: ReadonlySet<string> = new Set(['upstream_auth', 'upstream_quota', 'upstream_rate_limited']);

export class Tries {
  /** The request for the target to ask now. */
  outbound!: Outbound;
  key: ProviderKey | undefined;
  private target: Target | undefined;
  private keysTried = 0;
  private staleTried: Target | undefined;
  /** Of the last attempt. */
  private error: GatewayError | undefined;
  /** Why a target could not be asked at all: says less than what another one answered. */
  private unasked: GatewayError | undefined;

  constructor(
    readonly call: Call,
    readonly inbound: Inbound,
    readonly request: Request,
    private readonly plan: Plan,
    private first: Target | undefined,
  ) {}

  /** Moves on to the next attempt; false when there is none left. @throws GatewayError of the client's own making. */
  next(): boolean {
    // A client that has left needs no other answer; one that waits does not wait for ever.
    if (this.request.signal.aborted || this.call.attempts >= maxAttempts) return false;
    if (this.nextConnection() || this.nextKey()) return true;
    if (this.error !== undefined) this.plan.report(this.error);
    for (;;) {
      const target = this.first ?? this.plan.next(Date.now());
      this.first = undefined;
      this.target = target;
      if (target === undefined) return false;
      if (!this.render(target)) continue;
      this.key = this.call.gateway.health.pickKey(target.provider, Date.now());
      this.keysTried = 1;
      return true;
    }
  }

  /** The provider answered. */
  succeeded(): void {
    this.call.gateway.health.report(this.target!, this.key, 'ok', Date.now());
  }

  failed(thrown: unknown): void {
    this.error = toGatewayError(thrown);
    this.call.gateway.health.report(this.target!, this.key, this.error, Date.now());
  }

  get failure(): GatewayError {
    return this.error ?? this.unasked ?? new GatewayError('internal', 'The route has no targets.');
  }

  /** The same once more, where the connection had been closed while it waited for work: nobody's fault. */
  private nextConnection(): boolean {
    if (this.error?.kind !== 'upstream_stale' || this.staleTried === this.target) return false;
    this.staleTried = this.target;
    return true;
  }

  /** The same target with another live key, where the last one was what failed. */
  private nextKey(): boolean {
    const { error, target } = this;
    if (target === undefined || error === undefined || !keyTrouble.has(error.kind)) return false;
    if (this.keysTried >= target.provider.keys.length) return false;
    const key = this.call.gateway.health.pickLiveKey(target.provider, Date.now());
    if (key === undefined) return false;
    this.key = key;
    this.keysTried++;
    return true;
  }

  private render(target: Target): boolean {
    try {
      if (target.price === undefined && this.call.hasBudget) throw unpriced(target);
      this.outbound = this.inbound.render(target);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || !thrown.retry) throw thrown;
      this.unasked ??= thrown;
      this.plan.report(thrown);
      return false;
    }
  }
}

/** A budget could not hold: what the call costs would not count. */
function unpriced({ id }: Target): GatewayError {
  return new GatewayError(
    'unsupported',
    `No price is known for ${id}, and this key has a limit in USD. Have a price for "${id}" added to the gateway's configuration (prices), 0 where it is free.`,
    { param: 'model', code: 'model_unpriced' },
  );
}
