/** Takes what is raised to the log and on to whoever else is told, each event once. */
import { type Alert, type Alerts, identityOf } from '../core/alert.ts';
import { formatUsd } from '../core/money.ts';
import type { Logger } from './log.ts';

/** What the log says of each kind. */
const words: Record<Alert['kind'], string> = {
  limit: 'alert: a limit is used up to a threshold',
  exhausted: 'alert: a budget is used up',
  key_refused: 'alert: a provider refuses its key: replace it',
  store: 'alert: the store cannot be written: calls go on, and the journal grows',
  shared: 'alert: the Redis that nodes share cannot be reached: limits go on with what nodes hold',
  journal: 'alert: the journal grows, because the store does not keep up',
};

/** So many events are remembered, to be told of once; those told of twice all the same are known again by their ids. */
const maxRemembered = 10_000;

/** As the log says it: with money in dollars. */
function told({ kind: _, at: __, ...fields }: Alert): object {
  if (!('unit' in fields) || fields.unit !== 'usd') return fields;
  return { ...fields, used: formatUsd(fields.used), max: formatUsd(fields.max) };
}

/** @param pass what else is told of it. */
export function createAlerts(log: Logger, pass: (alert: Alert) => void): Alerts {
  const raised = new Set<string>();
  return {
    raise(alert) {
      const { kind, subject, window, threshold } = identityOf(alert);
      const identity = `${kind}\n${subject}\n${window}\n${threshold}`;
      if (raised.has(identity)) return;
      // Sets keep the order of insertion: the first is the oldest.
      if (raised.size >= maxRemembered) raised.delete(raised.values().next().value!);
      raised.add(identity);
      const fields = told(alert);
      if (kind === 'limit') log.warn(fields, words[kind]);
      else log.error(fields, words[kind]);
      pass(alert);
    },
  };
}
