/**
 * How a fleet of gateways learns of an outage, and what the Redis they share sees of it: the gateway's own health code
 * and channel on simulated nodes, with a simulated clock and network. `bun bench/nodes.ts [nodes] [providers]`.
 */
import type { Provider, Target } from '../src/config/snapshot.ts';
import { GatewayError } from '../src/core/error.ts';
import { createHealth, type Health } from '../src/routing/health.ts';
import { HealthChannel, type HealthLink } from '../src/shared/health-channel.ts';

const nodes = Number(process.argv[2] ?? 1000);
const providers = Number(process.argv[3] ?? 100);
/** Calls a second of one node, spread evenly over the providers. */
const callsPerSecond = 20;
/** Until what one node publishes is with all others. */
const spreadMs = 20;
const outage = { fromMs: 10_000, toMs: 70_000 };
const endMs = 130_000;
const tickMs = 20;

const provider: Provider = {
  name: 'acme',
  speaks: new Map(),
  keys: [],
  timeouts: { connectMs: 1, firstByteMs: 1, idleMs: 1, minBytesPerS: 0, totalMs: 1, sessionMs: 1 },
};
const target: Target = {
  id: 'acme/m',
  provider,
  model: 'm',
  modelJson: '"m"',
  quirks: {},
  endpoints: [],
  price: undefined,
};
const broken = new GatewayError('upstream_unavailable', 'It is down.');

/** The same numbers in every run. */
let seed = 42;
function random(): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
}

interface Outcome {
  /** From the beginning of the outage until half of the nodes, and until 99 of 100, send nothing there. */
  halfKnowMs: number;
  nearlyAllKnowMs: number;
  failed: number;
  /** From the end of the outage until 99 of 100 nodes send calls there again. */
  backMs: number;
  published: number;
  /** Most within one second. */
  peak: number;
}

/** One node's end of a network that takes its time, and loses nothing. */
class SimulatedLink implements HealthLink {
  readonly up = true;
  readonly offsetMs = 0;
  hearing: (text: string) => void = () => {};

  constructor(
    readonly node: string,
    private readonly spread: (text: string) => void,
  ) {}

  key = (name: string) => name;
  send = async () => undefined;
  onUp = () => {};
  onHearing = () => {};

  async publish(_channel: string, text: string): Promise<void> {
    this.spread(text);
  }

  hear(_channel: string, listener: (text: string) => void): void {
    this.hearing = listener;
  }
}

async function simulate(shared: boolean): Promise<Outcome> {
  const onTheirWay: { atMs: number; text: string }[] = [];
  const publishedAt = new Map<number, number>();
  let nowMs = 0;
  const links = Array.from(
    { length: nodes },
    (_, i) =>
      new SimulatedLink(String(i), (text) => {
        onTheirWay.push({ atMs: nowMs + spreadMs, text });
        const second = Math.floor(nowMs / 1000);
        publishedAt.set(second, (publishedAt.get(second) ?? 0) + 1);
      }),
  );
  const fleet: Health[] = links.map((link) => {
    const health = createHealth({ random, onChange: (change) => shared && channel.publish(change) });
    const channel = new HealthChannel(link, health, random);
    return health;
  });
  const outcome: Outcome = {
    halfKnowMs: Number.NaN,
    nearlyAllKnowMs: Number.NaN,
    failed: 0,
    backMs: Number.NaN,
    published: 0,
    peak: 0,
  };
  // All calls of the fleet to this one provider within a tick.
  const perTick = (nodes * callsPerSecond * tickMs) / 1000 / providers;
  let due = 0;
  for (; nowMs < endMs; nowMs += tickMs) {
    while (onTheirWay[0] !== undefined && onTheirWay[0].atMs <= nowMs) {
      const { text } = onTheirWay.shift()!;
      for (const link of links) link.hearing(text);
    }
    const down = nowMs >= outage.fromMs && nowMs < outage.toMs;
    for (due += perTick; due >= 1; due--) {
      const node = fleet[Math.floor(random() * nodes)]!;
      if (!node.isHealthy(target, nowMs)) continue;
      node.begin(target, nowMs);
      node.report(target, undefined, down ? broken : 'ok', nowMs);
      if (down) outcome.failed++;
    }
    // Channels send one thing after the other.
    await Bun.sleep(0);
    if (nowMs % 100 !== 0) continue;
    const well = fleet.filter((node) => node.isHealthy(target, nowMs)).length / nodes;
    const since = nowMs - outage.fromMs;
    if (down && Number.isNaN(outcome.halfKnowMs) && well <= 0.5) outcome.halfKnowMs = since;
    if (down && Number.isNaN(outcome.nearlyAllKnowMs) && well <= 0.01) outcome.nearlyAllKnowMs = since;
    if (nowMs >= outage.toMs && Number.isNaN(outcome.backMs) && well >= 0.99)
      outcome.backMs = nowMs - outage.toMs;
  }
  for (const count of publishedAt.values()) {
    outcome.published += count;
    outcome.peak = Math.max(outcome.peak, count);
  }
  return outcome;
}

const seconds = (ms: number) => (Number.isNaN(ms) ? 'never' : `${(ms / 1000).toFixed(1)} s`);
const calls = (nodes * callsPerSecond * (outage.toMs - outage.fromMs)) / 1000 / providers;
process.stdout.write(
  `${nodes} nodes, ${providers} providers, ${callsPerSecond} calls/s a node; one provider is down for a minute.\n\n`,
);
for (const [name, outcome] of [
  ['each node by itself', await simulate(false)],
  ['health shared', await simulate(true)],
] as const) {
  process.stdout.write(
    `${name}\n` +
      `  half of the nodes send nothing there after   ${seconds(outcome.halfKnowMs)}\n` +
      `  99 of 100 after                              ${seconds(outcome.nearlyAllKnowMs)}\n` +
      `  calls that met the outage                    ${outcome.failed} of ${calls}\n` +
      `  99 of 100 send calls again, when it is over  ${seconds(outcome.backMs)}\n` +
      `  changes published                            ${outcome.published}, at most ${outcome.peak} in a second\n\n`,
  );
}
