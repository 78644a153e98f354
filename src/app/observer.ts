/** What happens in the data plane, told to metrics and log. */
import type { HealthChange } from '../core/health.ts';
import type { Observer } from '../core/observer.ts';
import type { Logger } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';

export function reportChange(change: HealthChange, metrics: Metrics, log: Logger): void {
  if (change.of === 'key') {
    const { provider, id: key, model, state, why } = change;
    log.info({ provider, key, model, why, until: new Date(change.untilMs) }, `a key is ${state}`);
    return;
  }
  const { id: target, state, untilMs, lastError } = change;
  metrics.targetTurned(target, state);
  if (state === 'closed') log.info({ target }, 'a target does well again');
  else log.warn({ target, until: new Date(untilMs), lastError }, 'a target fails: others go first');
}

/** Clients choose the names of targets: so many are remembered, to be told of once. */
const maxTold = 1000;

export function createObserver(metrics: Metrics, log: Logger): Observer {
  const unpriced = new Set<string>();
  return {
    callStarted: metrics.callStarted,
    callEnded(end) {
      metrics.callEnded(end);
      const failed = end.error !== undefined && end.status >= 500;
      if (!failed && !log.isLevelEnabled('debug')) return;
      const { error, durationMs, ...rest } = end;
      const fields = { ...rest, durationMs: Math.round(durationMs) };
      if (failed) log.warn({ ...fields, kind: error?.kind, error: error?.message }, 'call failed');
      else log.debug({ ...fields, kind: error?.kind }, 'call');
    },
    attemptSettled(dispatch, record) {
      metrics.attemptSettled(dispatch, record);
      const { target } = dispatch.names;
      if (record.nanoUsd === undefined && !unpriced.has(target)) {
        if (unpriced.size < maxTold) unpriced.add(target);
        log.warn(
          { call: dispatch.call, target },
          'unpriced: no price is known for this target; add one under prices',
        );
      }
    },
    resumed(end) {
      metrics.resumed(end);
      if (end.to === undefined) log.warn(end, 'a stream broke off, and nobody went on with it');
      else log.info(end, 'a stream broke off, and another attempt went on with it');
    },
    bondSettled: metrics.bondSettled,
    hedgeStarted: metrics.hedgeStarted,
    hedgeWon: metrics.hedgeWon,
    shadowDropped: metrics.shadowDropped,
    shadowEnded(end) {
      metrics.shadowEnded(end);
      const { error, id, model, target } = end;
      log.debug({ id, model, target, kind: error?.kind, error: error?.message }, 'shadow call');
    },
    alarm(what, fields) {
      log.error(fields, `alarm: ${what}`);
    },
  };
}
