/** Shadows: what an answered call asked, asked of another route as well, whose answer nobody hears. */
import type { Mirror } from '../config/route.ts';
import type { Target } from '../config/snapshot.ts';
import { clientGone, toGatewayError } from '../core/error.ts';
import { bindLimit } from '../governance/binding.ts';
import { nobodysKey } from '../governance/keys.ts';
import type { Amounts } from '../governance/leases.ts';
import { RetryBudget } from '../routing/retry-budget.ts';
import type { Outlet } from '../wire/http/server/messages.ts';
import { fail, stageFor } from './answer-once.ts';
import type { Attempt } from './attempt.ts';
import { Call } from './call.ts';
import { settleCounted } from './estimate.ts';
import type { Gateway } from './gateway.ts';
import { noTarget } from './handle.ts';
import { Inflight } from './inflight.ts';
import { reach, reachStream } from './reach.ts';
import { readBytes } from './read-reply.ts';
import { passOn } from './stream.ts';
import { byLength } from './tokenizer.ts';
import { Tries } from './tries.ts';
import { Upstream } from './upstream.ts';
import { Whole } from './whole.ts';

/** Shadows at once; what goes beyond is dropped, so that a slow shadow cannot fill the memory. */
const usualMost = 64;
/** Longest wait for those that were given up. */
const lastMomentMs = 2000;

export class Shadows {
  /** Calls of their own, which nobody waits for when the gateway stops. */
  private readonly inflight = new Inflight();
  /** Their failures take nothing from the retries of calls. */
  private readonly retries = new RetryBudget();
  private readonly stopping = new AbortController();

  constructor(private readonly most = usualMost) {}

  /** Has the shadows of an answered call asked, when its answer has left. */
  follow(tries: Tries): void {
    const { observer } = tries.call.gateway;
    for (const mirror of tries.shadows) {
      if (this.stopping.signal.aborted) observer.shadowDropped('draining');
      else if (this.inflight.count >= this.most) observer.shadowDropped('busy');
      else this.add(mirror, tries);
    }
  }

  /** Gives up those that run, and takes no others. @returns when they are written down. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.inflight.drain(lastMomentMs);
  }

  private add(mirror: Mirror, tries: Tries): void {
    const { id, gateway, dialect, snapshot, pins } = tries.call;
    const call = new Call(this.besides(gateway), dialect, snapshot, 'mirror');
    // The operator's, who has shadows asked: no key, team or organisation is charged for them.
    call.key = nobodysKey;
    call.model = mirror.model;
    // The call it is the shadow of is where it can be found by.
    call.labels = { tags: '', session: id, endUser: '' };
    call.pins = pins;
    setImmediate(() => void this.run(mirror, call, tries));
  }

  /** The gateway for calls that are none of its clients'. */
  private besides(gateway: Gateway): Gateway {
    const { inflight, retries, stopping } = this;
    const { observer } = gateway;
    const besides: Gateway['observer'] = {
      ...observer,
      callStarted() {},
      callEnded: (end) =>
        end.attempts > 0 ? observer.shadowEnded(end) : observer.shadowDropped(end.error?.kind ?? 'internal'),
    };
    // Who is given up at the end is not waited for until it is counted.
    const countTokens = async (text: string) =>
      stopping.signal.aborted ? byLength(text) : gateway.countTokens(text);
    return { ...gateway, inflight, retries, observer: besides, countTokens };
  }

  /** Never rejects: it is nobody's failure but its own. */
  private async run(mirror: Mirror, call: Call, original: Tries): Promise<void> {
    try {
      const { signal } = this.stopping;
      if (signal.aborted) throw clientGone();
      const plan = original.planShadow(mirror);
      const first = plan.next(Date.now());
      if (first === undefined) throw noTarget(call.model);
      const caller = {
        headers: original.request.headers,
        signal,
        get gone() {
          return signal.aborted;
        },
      };
      const inbound = original.inbound.mute(caller);
      await reserve(mirror, call, inbound.needs(first.target), first.target);
      await ask(new Tries(call, inbound, caller, plan, first));
    } catch (thrown) {
      abandon(call, thrown);
    }
  }
}

/** Holds what it may use with the budget of shadows alone. @throws GatewayError `budget_exceeded`, `rate_limited`. */
function reserve(
  { model, budget }: Mirror,
  call: Call,
  needs: Amounts,
  target: Target,
): void | Promise<void> {
  call.hasBudget = budget?.unit === 'usd';
  return call.reserve(budget === undefined ? [] : [bindLimit('mirror', model, budget)], needs, target);
}

/** By its route, until a target answers. @throws GatewayError when none does. */
async function ask(tries: Tries): Promise<void> {
  const { call, inbound, request } = tries;
  for (;;) {
    const next = tries.next();
    if (!(next instanceof Promise ? await next : next)) throw tries.failure;
    // No conversation moves to where its shadow was answered.
    call.step = undefined;
    const { outbound, options } = tries;
    const attempt = call.dispatch(outbound, inbound.peek.stream);
    const upstream = new Upstream(outbound, call.gateway.deadlines, request, options.timeouts);
    try {
      return await hear(tries, attempt, upstream);
    } catch (thrown) {
      tries.failed(await fail(thrown, tries, attempt, upstream));
    }
  }
}

/** What is written here is gone. */
const nowhere: Outlet = { gone: false, write: () => undefined };

/** The answer to its end, of which nothing is kept but what it cost. @throws GatewayError when there is none. */
async function hear(tries: Tries, attempt: Attempt, upstream: Upstream): Promise<void> {
  const { call, inbound, outbound } = tries;
  if (inbound.peek.stream) {
    const stage = stageFor(tries);
    const open = await reachStream(tries, stage, attempt, upstream);
    tries.begun(attempt);
    await passOn(open, stage, upstream, attempt, inbound, nowhere);
    return;
  }
  const bytes = await readBytes(await reach(tries, attempt, upstream), upstream);
  upstream.finish();
  const whole = new Whole(bytes, outbound, inbound);
  attempt.meaningful();
  await settleCounted(attempt, 'ok', whole.usage, true, whole, inbound);
  tries.succeeded();
  call.end(200);
}

function abandon(call: Call, thrown: unknown): void {
  const error = toGatewayError(thrown);
  const { observer } = call.gateway;
  if (error.kind === 'internal') observer.alarm('internal', { call: call.id, error: error.cause ?? error });
  try {
    call.end(error.status, error);
  } catch {
    // What cannot be written has raised its alarm already.
  }
}
