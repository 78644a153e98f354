/** What the admin API can do beside the store: handed in by app.ts, which knows the running gateway. */
import type { Key, Snapshot } from '../config/snapshot.ts';
import type { ExplainQuery, Explanation } from '../core/explain.ts';
import type { HealthReport } from '../core/health.ts';
import type { LimitState } from '../core/limit-state.ts';
import type { Store } from '../store/open.ts';
import type { Questions } from '../store/questions.ts';
import type { FileSections } from './tenancy.ts';

export interface AdminPowers {
  version: string;
  /** `SLUICE_SECRET`; undefined: it is not set. */
  secret: string | undefined;
  /** The configuration in force. */
  snapshot(): Snapshot;
  /** What the configuration file has of keys, teams and organisations. */
  file(): FileSections;
  /** @throws where it cannot be opened. */
  store(): Promise<Store['db']>;
  /** What goes through many rows: answered where no call waits for it. */
  questions: Questions;
  /** @throws GatewayError */
  explain(query: ExplainQuery): Explanation;
  health(): HealthReport;
  /** A key in force, of the configuration or of the store, by its name or its id. */
  keyNamed(name: string): Key | undefined;
  keyOf(id: string): Key | undefined;
  /** How full the limits of a key are, or of a team and its organisation. */
  limits(of: Key | Pick<Key, 'team' | 'organisation'>): LimitState[];
  /** Tells the operator of a fault of the gateway's own. */
  alarm(what: string, fields: Record<string, unknown>): void;
}
