/** What Prometheus reads at /metrics. Series are looked up once per target and key, so that a call only adds numbers. */
import type { CallEnd } from '../core/observer.ts';
import type { Dispatched, Settled } from '../core/record.ts';
import { type Distribution, Family, HistogramFamily, type Series } from './exposition.ts';

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

export interface Metrics {
  callStarted(): void;
  callEnded(end: CallEnd): void;
  attemptSettled(dispatch: Dispatched, record: Settled): void;
  /** Text in Prometheus' exposition format. */
  expose(): string;
}

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
  ];

  const running = inFlight.with({});
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

  return {
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
    expose: () => families.map((family) => family.write()).join(''),
  };
}
