/** What is measured, in which order: contenders in turn, round after round, so that drift of the machine hits all. */
import { join } from 'node:path';
import { lastWordOf, modelAt, type Sent } from './asks.ts';
import {
  askEverybody,
  type Contender,
  type ContenderName,
  type Launch,
  type Pace,
  type Served,
  startAnswering,
  streamModel,
} from './contenders.ts';
import { type Load, measureCalls, type Sample, warmUp } from './load.ts';
import { readRssMb } from './processes.ts';
import { atMost, type Figure, type Target, timesNginx } from './report.ts';
import { holdStreams, measureStreams, type StreamSample } from './streams.ts';

/** What is asked in Chat Completions. */
interface Ask {
  model: string;
  /** Of a provider that speaks another dialect. */
  translated?: boolean;
  stream?: boolean;
  prompt?: string;
}

function send({ model, translated, ...more }: Ask, upstreamPort: number): Sent {
  const provider = translated ? 'anthropic-messages' : 'openai-chat';
  return askEverybody({ model: modelAt(provider, model), ...more }, upstreamPort, translated);
}

/** How much is done. */
export interface Effort {
  rounds: number;
  seconds: number;
  warmSeconds: number;
  /** Streams at once where chunks are counted. */
  streams: number;
  /** Chunks of each. */
  chunks: number;
  held: number;
  starts: number;
  limitMs: number;
}

export interface Setting {
  scratch: string;
  upstreamPort: number;
  launches: Launch[];
  /** Sluice as `bin/sluice` starts it, not built. */
  fromSource: Launch;
  effort: Effort;
  notes: string[];
  progress(line: string): void;
}

/** Chunks that come one by one, as a model speaks them; as fast as the upstream can write them; and to warm up. */
const pacesOf = ({ chunks }: Effort) => ({
  spoken: { chunks, paceMs: 1 },
  poured: { chunks, paceMs: 0 },
  warm: { chunks: 200, paceMs: 0 },
});

/** Whoever is asked for, for those who have to know it beforehand. */
export function servedTo(effort: Effort): Served {
  const streams = new Set(Object.values(pacesOf(effort)).map(streamModel));
  return { providers: ['openai-chat', 'anthropic-messages'], models: ['bench', 'bench-hold', ...streams] };
}

/** Figures of one contender under one load, a sample for each round. */
type Samples<T> = Map<ContenderName, T[]>;

const bigPromptBytes = 5 * 1024 ** 2;
/** Text with the marks that cost an encoder something. */
const bigPrompt =
  'The log of the harbour, "page one":\n\tat six the pilot came aboard, and we let go aft. '.repeat(
    Math.ceil(bigPromptBytes / 87),
  );

/** @returns the figures that could be measured; what failed is told in the notes. */
export async function measureAll(setting: Setting): Promise<Figure[]> {
  const starts = await measureStarts(setting);
  const contenders: Contender[] = [];
  for (const launch of setting.launches) {
    await attempt(setting, launch.name, 'start', async () => {
      const dir = join(setting.scratch, `data-${launch.name}`);
      contenders.push((await startAnswering(launch, dir, setting.upstreamPort)).contender);
    });
  }
  const figures = [
    ...(await measureWholeCalls(setting, contenders)),
    ...(await measureChunks(setting, contenders)),
    ...(await measureMemory(setting, contenders)),
    ...starts,
  ];
  for (const { process } of contenders) await process.stop();
  return figures;
}

/** Runs one measurement; a contender that fails loses the figure, not the others theirs. */
export async function attempt(
  setting: Pick<Setting, 'notes' | 'progress'>,
  who: ContenderName,
  what: string,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (thrown) {
    const why = String(thrown instanceof Error ? thrown.message : thrown);
    const note = `${who}, ${what}: ${why.replace(/\s+/g, ' ').slice(0, 300)}`;
    if (!setting.notes.includes(note)) setting.notes.push(note);
    setting.progress(`  failed: ${note}`);
  }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function medians<T>(samples: Samples<T>, read: (sample: T) => number): Figure['values'] {
  const entries = [...samples].filter(([, list]) => list.length > 0);
  return Object.fromEntries(entries.map(([name, list]) => [name, median(list.map(read))]));
}

/** Every scenario for every contender, in turn, as many rounds as the effort asks. */
async function inTurn<S, T>(
  setting: Setting,
  contenders: Contender[],
  scenarios: readonly S[],
  name: (scenario: S) => string,
  measure: (scenario: S, contender: Contender) => Promise<T>,
): Promise<Map<S, Samples<T>>> {
  const all = new Map<S, Samples<T>>(scenarios.map((scenario) => [scenario, new Map()]));
  for (let round = 1; round <= setting.effort.rounds; round++) {
    for (const scenario of scenarios) {
      setting.progress(`round ${round} of ${setting.effort.rounds}: ${name(scenario)}`);
      for (const contender of contenders) {
        await attempt(setting, contender.name, name(scenario), async () => {
          const sample = await measure(scenario, contender);
          const samples = all.get(scenario)!;
          samples.set(contender.name, [...(samples.get(contender.name) ?? []), sample]);
        });
      }
    }
  }
  return all;
}

interface CallScenario {
  name: string;
  ask: Ask;
  connections: number;
  target?: Target;
}

const callScenarios: readonly CallScenario[] = [
  { name: 'relayed call, 1 connection', ask: { model: 'bench' }, connections: 1, target: timesNginx(3, 15) },
  {
    name: 'relayed call, 64 connections',
    ask: { model: 'bench' },
    connections: 64,
    target: timesNginx(3, 15),
  },
  {
    name: 'translated call, 1 connection',
    ask: { model: 'bench', translated: true },
    connections: 1,
    target: timesNginx(5),
  },
  {
    name: 'translated call, 64 connections',
    ask: { model: 'bench', translated: true },
    connections: 64,
    target: timesNginx(5),
  },
  { name: 'relayed call of 5 MB', ask: { model: 'bench', prompt: bigPrompt }, connections: 1 },
];

async function measureWholeCalls(setting: Setting, contenders: Contender[]): Promise<Figure[]> {
  const { effort, scratch, upstreamPort } = setting;
  const loadOf = ({ ask, connections }: CallScenario, seconds: number): Load => ({
    requests: [send(ask, upstreamPort)],
    connections,
    seconds,
  });
  setting.progress('warming up');
  for (const scenario of callScenarios.filter(({ connections }) => connections > 1)) {
    for (const contender of contenders) {
      const load = loadOf(scenario, effort.warmSeconds);
      await attempt(setting, contender.name, scenario.name, () => warmUp(contender, load, scratch));
    }
  }
  const all = await inTurn(
    setting,
    contenders,
    callScenarios,
    ({ name }) => name,
    (scenario, contender) => measureCalls(contender, loadOf(scenario, effort.seconds), scratch),
  );
  return [...all].flatMap(([{ name, ask, target }, samples]) =>
    ask.prompt === undefined ? smallCallFigures(name, target, samples) : bigCallFigures(name, samples),
  );
}

function smallCallFigures(name: string, target: Target | undefined, samples: Samples<Sample>): Figure[] {
  return [
    {
      name: `CPU, ${name}`,
      unit: 'µs',
      values: medians(samples, (sample) => sample.cpuMicrosPerCall),
      target,
    },
    { name: '  latency p50', unit: 'µs', values: medians(samples, (sample) => sample.p50Micros) },
    { name: '  latency p99', unit: 'µs', values: medians(samples, (sample) => sample.p99Micros) },
    { name: '  throughput', unit: 'calls/s', values: medians(samples, (sample) => sample.callsPerSecond) },
  ];
}

function bigCallFigures(name: string, samples: Samples<Sample>): Figure[] {
  return [
    {
      name: `CPU, ${name}`,
      unit: 'ms',
      values: medians(samples, (sample) => sample.cpuMicrosPerCall / 1000),
    },
    { name: '  latency p50', unit: 'ms', values: medians(samples, (sample) => sample.p50Micros / 1000) },
  ];
}

interface ChunkScenario {
  name: string;
  pace: 'spoken' | 'poured';
  translated: boolean;
  target?: Target;
}

const chunkScenarios: readonly ChunkScenario[] = [
  { name: 'relayed chunk, one by one', pace: 'spoken', translated: false },
  { name: 'translated chunk, one by one', pace: 'spoken', translated: true },
  { name: 'relayed chunk, as fast as they come', pace: 'poured', translated: false, target: atMost(5, 'µs') },
  {
    name: 'translated chunk, as fast as they come',
    pace: 'poured',
    translated: true,
    target: atMost(8, 'µs'),
  },
];

async function measureChunks(setting: Setting, contenders: Contender[]): Promise<Figure[]> {
  const { effort, upstreamPort } = setting;
  const known = pacesOf(effort);
  const run = (contender: Contender, pace: Pace, translated: boolean) =>
    measureStreams(contender, {
      ...send({ model: streamModel(pace), translated, stream: true }, upstreamPort),
      chunks: pace.chunks,
      streams: effort.streams,
      lastWord: lastWordOf('openai-chat'),
    });
  for (const contender of contenders) {
    for (const translated of [false, true]) {
      await attempt(setting, contender.name, 'warming up streams', async () => {
        for (let times = 0; times < 3; times++) await run(contender, known.warm, translated);
      });
    }
  }
  const all = await inTurn<ChunkScenario, StreamSample>(
    setting,
    contenders,
    chunkScenarios,
    ({ name }) => name,
    ({ pace, translated }, contender) => run(contender, known[pace], translated),
  );
  return [...all].flatMap(([{ name, target }, samples]): Figure[] => [
    {
      name: `CPU, ${name}`,
      unit: 'µs',
      values: medians(samples, (sample) => sample.cpuMicrosPerChunk),
      target,
    },
    {
      name: '  chunks in a read of the client',
      unit: 'mean',
      values: medians(samples, (sample) => sample.chunksPerRead),
    },
  ]);
}

/** Streams held open in a process that has done nothing else, and memory of the one that has served all of the load. */
async function measureMemory(setting: Setting, contenders: Contender[]): Promise<Figure[]> {
  const { effort, upstreamPort } = setting;
  const after: Figure['values'] = {};
  const held: Figure['values'] = {};
  const streams = effort.held.toLocaleString('en');
  setting.progress(`${streams} streams held open`);
  for (const contender of contenders) after[contender.name] = readRssMb(contender.pids);
  for (const launch of setting.launches) {
    await attempt(setting, launch.name, 'streams held open', async () => {
      const dir = join(setting.scratch, `held-${launch.name}`);
      const { contender } = await startAnswering(launch, dir, upstreamPort);
      const sent = send({ model: 'bench-hold', stream: true }, upstreamPort);
      const load = { ...sent, chunks: 1, streams: effort.held, lastWord: lastWordOf('openai-chat') };
      held[launch.name] = (await holdStreams(contender, load, upstreamPort)).heldMb;
      await contender.process.stop();
    });
  }
  return [
    { name: `RSS with ${streams} streams held open`, unit: 'MB', values: held, target: atMost(150, 'MB') },
    { name: '  after all the load above', unit: 'MB', values: after },
  ];
}

/** From the start of the process to its first answer: on a data directory that was used before, and on a fresh one. */
async function measureStarts(setting: Setting): Promise<Figure[]> {
  const fresh: Samples<number> = new Map();
  const used: Samples<number> = new Map();
  const source: Samples<number> = new Map();
  const add = (samples: Samples<number>, launch: Launch, ms: number) =>
    samples.set(launch.name, [...(samples.get(launch.name) ?? []), ms]);
  setting.progress('start to first answer');
  for (let turn = 0; turn < setting.effort.starts; turn++) {
    for (const launch of [...setting.launches, setting.fromSource]) {
      await attempt(setting, launch.name, 'start', async () => {
        const built = launch !== setting.fromSource;
        const dir = join(setting.scratch, `start-${turn}-${launch.name}-${built}`);
        for (const samples of [fresh, used]) {
          const { contender, ms } = await startAnswering(launch, dir, setting.upstreamPort);
          await contender.process.stop();
          if (built) add(samples, launch, ms);
          else if (samples === used) add(source, launch, ms);
        }
      });
    }
  }
  const value = (ms: number) => ms;
  return [
    { name: 'start to first answer', unit: 'ms', values: medians(used, value), target: atMost(200, 'ms') },
    { name: '  on a fresh data directory', unit: 'ms', values: medians(fresh, value) },
    { name: '  from source', unit: 'ms', values: medians(source, value) },
  ];
}
