/** Every client's dialect with every provider's: what a whole call and a chunk of a stream cost Sluice. */
import { join } from 'node:path';
import {
  askAs,
  type ClientName,
  callOn,
  clientNames,
  lastWordOf,
  modelAt,
  type ProviderDialect,
  providerDialects,
  type Sent,
} from './asks.ts';
import {
  type Contender,
  type Launch,
  type Pace,
  type Served,
  startAnswering,
  streamModel,
} from './contenders.ts';
import { type Load, measureCalls, warmUp } from './load.ts';
import { attempt, median } from './measure.ts';
import { measureStreams, type StreamSample } from './streams.ts';
import { wholeText } from './voices.ts';

export interface Pair {
  client: ClientName;
  provider: ProviderDialect;
}

export const allPairs: readonly Pair[] = providerDialects.flatMap((provider) =>
  clientNames.map((client) => ({ client, provider })),
);

/** Each client and each framing once. */
export const fewPairs: readonly Pair[] = [
  { client: 'anthropic-messages', provider: 'openai-responses' },
  { client: 'openai-responses', provider: 'gemini' },
  { client: 'gemini', provider: 'bedrock-converse' },
  { client: 'openai-chat', provider: 'ollama' },
];

export interface PairEffort {
  pairs: readonly Pair[];
  rounds: number;
  seconds: number;
  warmSeconds: number;
  /** Streams at once. */
  streams: number;
  /** Chunks of each. */
  chunks: number;
}

export interface PairSetting {
  scratch: string;
  upstreamPort: number;
  nginx: Launch;
  sluice: Launch;
  effort: PairEffort;
  notes: string[];
  progress(line: string): void;
}

/** What one pair costs; undefined: it could not be measured. */
export interface PairFigure extends Pair {
  /** CPU of nginx, which relays the same answer, and of Sluice for a whole call. */
  nginxMicros: number | undefined;
  callMicros: number | undefined;
  timesNginx: number | undefined;
  chunkMicros: number | undefined;
  chunksPerRead: number | undefined;
}

/** A sample for each round. */
interface Samples {
  nginx: number[];
  calls: number[];
  times: number[];
  chunks: StreamSample[];
}

const connections = 64;

const paceOf = ({ chunks }: PairEffort): Pace => ({ chunks, paceMs: 0 });

/** Whoever is asked for. */
export function servedInPairs(effort: PairEffort): Served {
  const providers = [...new Set(effort.pairs.map(({ provider }) => provider))];
  return { providers, models: ['bench', streamModel(paceOf(effort))] };
}

/**
 * Contenders in turn, round after round: nginx before and after the pairs of each provider, so that drift of the
 * machine hits both. Every answer is checked. What failed is told in the notes.
 */
export async function measurePairs(setting: PairSetting): Promise<PairFigure[]> {
  const { effort, progress } = setting;
  const [nginx, sluice] = await Promise.all([begin(setting, setting.nginx), begin(setting, setting.sluice)]);
  const samples = new Map<Pair, Samples>(
    effort.pairs.map((pair) => [pair, { nginx: [], calls: [], times: [], chunks: [] }]),
  );
  const providers = [...new Set(effort.pairs.map(({ provider }) => provider))];
  progress('warming up');
  await attempt(setting, 'sluice', 'warming up', () => warmPairs(setting, sluice));
  for (let round = 1; round <= effort.rounds; round++) {
    for (const provider of providers) {
      progress(`round ${round} of ${effort.rounds}: ${provider}`);
      const pairs = effort.pairs.filter((pair) => pair.provider === provider);
      await measureProvider(setting, nginx, sluice, provider, pairs, samples);
    }
  }
  for (const { process } of [nginx, sluice]) await process.stop();
  return [...samples].map(([pair, found]) => ({ ...pair, ...figureOf(found) }));
}

async function begin(setting: PairSetting, launch: Launch): Promise<Contender> {
  const dir = join(setting.scratch, `pairs-${launch.name}`);
  return (await startAnswering(launch, dir, setting.upstreamPort)).contender;
}

function nameOf({ client, provider }: Pair): string {
  return `${client} to ${provider}`;
}

async function measureProvider(
  setting: PairSetting,
  nginx: Contender,
  sluice: Contender,
  provider: ProviderDialect,
  pairs: readonly Pair[],
  samples: ReadonlyMap<Pair, Samples>,
): Promise<void> {
  const relayed: number[] = [];
  const calls = new Map<Pair, number>();
  const relay = () =>
    attempt(setting, 'nginx', provider, async () => {
      const load = loadOf([callOn(provider, { model: 'bench' })], setting.effort.seconds);
      relayed.push((await measureCalls(nginx, load, setting.scratch)).cpuMicrosPerCall);
    });
  await relay();
  for (const pair of pairs) {
    await attempt(setting, 'sluice', nameOf(pair), async () => {
      const load = loadOf([ask(pair)], setting.effort.seconds);
      calls.set(pair, (await measureCalls(sluice, load, setting.scratch)).cpuMicrosPerCall);
    });
    await attempt(setting, 'sluice', `${nameOf(pair)}, streamed`, async () => {
      samples.get(pair)!.chunks.push(await runStreams(setting, sluice, pair));
    });
  }
  await relay();
  for (const [pair, micros] of calls) {
    const found = samples.get(pair)!;
    found.calls.push(micros);
    if (relayed.length === 0) continue;
    const beside = median(relayed);
    found.nginx.push(beside);
    found.times.push(micros / beside);
  }
}

/** All pairs at once: code that is made for one after the other would be thrown away and made anew each time. */
async function warmPairs(setting: PairSetting, sluice: Contender): Promise<void> {
  const { pairs, warmSeconds } = setting.effort;
  await warmUp(sluice, loadOf(pairs.map(ask), warmSeconds), setting.scratch);
  const streams = Math.ceil(connections / pairs.length);
  for (let times = 0; times < warmSeconds / 4; times++) {
    await Promise.all(pairs.map((pair) => runStreams(setting, sluice, pair, streams)));
  }
}

function ask({ client, provider }: Pair): Sent {
  return askAs(client, { model: modelAt(provider, 'bench') });
}

function loadOf(requests: Sent[], seconds: number): Load {
  return { requests, connections, seconds, expect: wholeText };
}

function runStreams(
  { effort }: PairSetting,
  sluice: Contender,
  { client, provider }: Pair,
  streams = effort.streams,
): Promise<StreamSample> {
  const model = modelAt(provider, streamModel(paceOf(effort)));
  return measureStreams(sluice, {
    ...askAs(client, { model, stream: true }),
    streams,
    chunks: effort.chunks,
    lastWord: lastWordOf(client),
  });
}

function figureOf({ nginx, calls, times, chunks }: Samples): Omit<PairFigure, keyof Pair> {
  const middle = (values: number[]) => (values.length === 0 ? undefined : median(values));
  return {
    nginxMicros: middle(nginx),
    callMicros: middle(calls),
    timesNginx: middle(times),
    chunkMicros: middle(chunks.map(({ cpuMicrosPerChunk }) => cpuMicrosPerChunk)),
    chunksPerRead: middle(chunks.map(({ chunksPerRead }) => chunksPerRead)),
  };
}
