/** What Prometheus reads at /metrics. Series are looked up once per target and key, so that a call only adds numbers. */

import type { LedgerNumbers } from '../core/ledger-numbers.ts';
import type { CallEnd, Observer } from '../core/observer.ts';
import type { Dispatched, Settled } from '../core/record.ts';
import type { SharedNumbers } from '../core/shared-numbers.ts';
import { type BesideObserver, createBesideMetrics } from './beside-metrics.ts';
import { type Distribution, Family, HistogramFamily, type Series } from './exposition.ts';
import { ledgerFamilies } from './ledger-metrics.ts';
import { sharedFamilies } from './shared-metrics.ts';

const secondBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** Clients choose model names: what goes beyond this many targets or keys is counted as `other`. */
const maxNames = 1000;

interface TargetSeries {
  label: string;
  attempts: Map<string, Series>;
  firstToken: Distribution;
  duration: Distribution;
  input: Series;
  cached: Series;
  output: Series;
  cost: Series;
  unpriced: Series;
  estimated: Series;
}

export interface Metrics extends BesideObserver {
  callStarted(): void;
  callEnded(end: CallEnd): void;
  attemptSettled(dispatch: Dispatched, record: Settled): void;
  resumed: Observer['resumed'];
  bondSettled: Observer['bondSettled'];
  /** A target's breaker has opened or closed. */
  targetTurned(target: string, state: 'open' | 'closed'): void;
  /** Text in Prometheus' exposition format. */
  expose(health: HealthNumbers): string;
}

/** What is counted when it is asked for. */
export interface HealthNumbers {
  targets: readonly { id: string; state: keyof typeof stateNumbers }[];
  providers: readonly {
    name: string;
    keys: readonly { why?: string; limited?: readonly { why: string }[] }[];
  }[];
  /** Attempts that the retry budget did not bear. */
  heldBack: number;
  ledger: LedgerNumbers;
  /** Undefined where nothing is shared. */
  shared: SharedNumbers | undefined;
}

const stateNumbers = { closed: 0, 'half-open': 1, open: 2 } as const;

export function createMetrics(): Metrics {
  const calls = new Family('sluice_calls_total', 'counter', 'Calls answered.');
  const latency = new HistogramFamily(
    'sluice_call_duration_seconds',
    'From request to the end of the answer.',
    secondBounds,
  );
  const inFlight = new Family('sluice_calls_in_flight', 'gauge', 'Calls running now.');
  const attempts = new Family('sluice_attempts_total', 'counter', 'Upstream requests, by how they ended.');
  const duration = new HistogramFamily(
    'sluice_attempt_duration_seconds',
    'From dispatch to the end of the answer.',
    secondBounds,
  );
  const firstToken = new HistogramFamily(
    'sluice_time_to_first_token_seconds',
    'From dispatch to the first meaningful bytes.',
    secondBounds,
  );
  const tokens = new Family('sluice_tokens_total', 'counter', 'Tokens; input includes cached.');
  const cost = new Family('sluice_cost_usd_total', 'counter', 'Charges in USD.');
  const unpriced = new Family(
    'sluice_unpriced_attempts_total',
    'counter',
    'Attempts whose price is unknown.',
  );
  const estimated = new Family(
    'sluice_estimated_attempts_total',
    'counter',
    'Attempts counted by the gateway itself.',
  );
  const resumes = new Family(
    'sluice_stream_resumes_total',
    'counter',
    'Streams that broke off and were to be gone on with: whether another attempt did.',
  );
  const opened = new Family(
    'sluice_target_opened_total',
    'counter',
    'Times that calls were kept from a target that failed.',
  );
  const sticky = new Family(
    'sluice_sticky_total',
    'counter',
    'Attempts of conversations: new ones, those kept by the target that answered before, those moved to another.',
  );
  const saved = new Family(
    'sluice_cache_saved_usd_total',
    'counter',
    'USD that prompt caches saved of conversations kept by their targets.',
  );
  const families = [
    calls,
    latency,
    inFlight,
    attempts,
    duration,
    firstToken,
    tokens,
    cost,
    unpriced,
    estimated,
    resumes,
    opened,
    sticky,
    saved,
  ];

  const running = inFlight.with({});
  const [resumed, abandoned] = ['resumed', 'failed'].map((result) => resumes.with({ result }));
  const fates = {
    new: sticky.with({ result: 'new' }),
    kept: sticky.with({ result: 'kept' }),
    moved: sticky.with({ result: 'moved' }),
  };
  const byTarget = new Map<string, TargetSeries>();
  const byCall = new Map<string, Series>();
  const byDialect = new Map<string, Distribution>();

  function seriesOf(name: string): TargetSeries {
    const found = byTarget.get(name);
    if (found !== undefined) return found;
    if (byTarget.size >= maxNames && name !== 'other') return seriesOf('other');
    const target = { target: name };
    const made: TargetSeries = {
      label: name,
      attempts: new Map(),
      firstToken: firstToken.with(target),
      duration: duration.with(target),
      input: tokens.with({ ...target, kind: 'input' }),
      cached: tokens.with({ ...target, kind: 'cached' }),
      output: tokens.with({ ...target, kind: 'output' }),
      cost: cost.with(target),
      unpriced: unpriced.with(target),
      estimated: estimated.with(target),
    };
    byTarget.set(name, made);
    return made;
  }

  function callSeries(end: CallEnd): Series {
    const id = `${end.operation} ${end.dialect} ${end.status} ${end.key}`;
    const found = byCall.get(id);
    if (found !== undefined) return found;
    const key = byCall.size < maxNames ? end.key : 'other';
    const { operation, dialect, status } = end;
    const made = calls.with({ operation, dialect, key, status: String(status) });
    if (byCall.size < maxNames) byCall.set(id, made);
    return made;
  }

  const beside = createBesideMetrics((target) => seriesOf(target).label);
  families.push(...beside.families);

  return {
    ...beside.observer,
    callStarted() {
      running.value++;
    },
    callEnded(end) {
      running.value--;
      callSeries(end).value++;
      let series = byDialect.get(end.dialect);
      if (series === undefined) {
        series = latency.with({ dialect: end.dialect });
        byDialect.set(end.dialect, series);
      }
      latency.observe(series, end.durationMs / 1000);
    },
    attemptSettled(dispatch, record) {
      const series = seriesOf(dispatch.names.target);
      let outcome = series.attempts.get(record.outcome);
      if (outcome === undefined) {
        outcome = attempts.with({ target: series.label, outcome: record.outcome });
        series.attempts.set(record.outcome, outcome);
      }
      outcome.value++;
      duration.observe(series.duration, record.durationMs / 1000);
      if (record.firstByteMs !== undefined) firstToken.observe(series.firstToken, record.firstByteMs / 1000);
      series.input.value += record.usage.input;
      series.cached.value += record.usage.cacheRead;
      series.output.value += record.usage.output;
      if (record.nanoUsd === undefined) series.unpriced.value++;
      else series.cost.value += record.nanoUsd / 1e9;
      if (record.estimated) series.estimated.value++;
    },
    resumed({ to }) {
      (to === undefined ? abandoned! : resumed!).value++;
    },
    bondSettled(target, fate, savedNanoUsd) {
      fates[fate].value++;
      if (savedNanoUsd > 0) saved.with({ target: seriesOf(target).label }).value += savedNanoUsd / 1e9;
    },
    targetTurned(target, state) {
      if (state === 'open') opened.with({ target: seriesOf(target).label }).value++;
    },
    expose: (health) => [...families, ...healthFamilies(health)].map((family) => family.write()).join(''),
  };
}

function healthFamilies({ targets, providers, heldBack, ledger, shared }: HealthNumbers): Family[] {
  const state = new Family(
    'sluice_target_state',
    'gauge',
    'Of targets that failed lately: 0 closed, 1 half-open, 2 open.',
  );
  for (const target of targets.slice(0, maxNames))
    state.with({ target: target.id }).value = stateNumbers[target.state];
  const aside = new Family(
    'sluice_keys_aside',
    'gauge',
    'Keys of providers that are set aside, by why: refused for all models, otherwise for at least one.',
  );
  for (const { name, keys } of providers) {
    for (const { why, limited = [] } of keys) {
      const reasons = new Set(limited.map((each) => each.why));
      if (why !== undefined) reasons.add(why);
      for (const reason of reasons) aside.with({ provider: name, why: reason }).value++;
    }
  }
  const held = new Family(
    'sluice_retries_held_back_total',
    'counter',
    'Attempts not made, because too many others failed.',
  );
  held.with({}).value = heldBack;
  return [
    state,
    aside,
    held,
    ...ledgerFamilies(ledger),
    ...(shared === undefined ? [] : sharedFamilies(shared)),
  ];
}
