/**
 * Asks providers whose targets fail whether anybody is there, so that no call has to find that out: for their list of
 * models, which costs nothing and is no call of a model. Whether the target itself does well again only a call can tell.
 */
import type { Endpoint, Provider } from '../config/snapshot.ts';
import type { Presence } from '../wire/http/server/messages.ts';
import type { Gateway } from './gateway.ts';
import { nobody, outboundTo, wholeProvider } from './objects/errand.ts';
import { Upstream } from './upstream.ts';

const tickMs = 1000;
/** Who does not answer such a question by then is not there. */
const maxWaitMs = 10_000;

export class Probes {
  private timer: ReturnType<typeof setInterval> | undefined;
  /** When each provider was asked last; Infinity while it is. */
  private readonly asked = new Map<string, number>();

  constructor(private readonly gateway: Gateway) {}

  start(): void {
    this.timer = setInterval(() => this.sweep(Date.now()), tickMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Asks whoever is due. */
  sweep(nowMs: number): void {
    const { gateway, asked } = this;
    const unwell = gateway.health.unwell(nowMs);
    for (const name of asked.keys()) if (!unwell.has(name)) asked.delete(name);
    if (unwell.size === 0) return;
    const snapshot = gateway.snapshot();
    for (const [name, target] of unwell) {
      const provider = snapshot.providers.get(name);
      if (provider?.probeMs === undefined || nowMs < (asked.get(name) ?? -Infinity) + provider.probeMs)
        continue;
      const route = snapshot.resolve(target);
      const endpoint = route?.type === 'target' ? route.target.endpoints[0] : undefined;
      if (endpoint !== undefined) void this.ask(provider, endpoint);
    }
  }

  private async ask(provider: Provider, endpoint: Endpoint): Promise<void> {
    this.asked.set(provider.name, Infinity);
    const there = await isThere(provider, endpoint, this.gateway);
    const nowMs = Date.now();
    this.asked.set(provider.name, nowMs);
    this.gateway.health.tested(provider.name, there, nowMs);
  }
}

/** Whoever probes waits for so long. */
function presentFor(waitMs: number): Presence {
  const late = AbortSignal.timeout(waitMs);
  return {
    get gone() {
      return late.aborted;
    },
  };
}

/** Whatever it says, as long as it is not that it is broken: keys and models are known by what calls are told. */
async function isThere(provider: Provider, endpoint: Endpoint, gateway: Gateway): Promise<boolean> {
  const outbound = outboundTo(wholeProvider(provider), endpoint, '/models');
  const key = provider.keys[0];
  for (let again = 1; ; again--) {
    const upstream = new Upstream(outbound, gateway.deadlines, presentFor(maxWaitMs));
    try {
      const errand = { method: 'GET', headers: {}, body: undefined } as const;
      const reply = await upstream.run(gateway.http, { key, client: nobody.headers }, errand);
      return reply.status < 500;
    } catch (thrown) {
      // A connection that had waited for work was closed: that tells nothing yet.
      if (upstream.failure(thrown).kind !== 'upstream_stale' || again === 0) return false;
    } finally {
      upstream.close();
    }
  }
}
