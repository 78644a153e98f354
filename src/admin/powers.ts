/** What the admin API can do beside the store: handed in by app.ts, which knows the running gateway. */
import type { Snapshot } from '../config/snapshot.ts';
import type { ExplainQuery, Explanation } from '../core/explain.ts';
import type { HealthReport } from '../core/health.ts';
import type { Store } from '../store/open.ts';

export interface AdminPowers {
  version: string;
  /** `SLUICE_SECRET`; undefined: it is not set. */
  secret: string | undefined;
  /** The configuration in force. */
  snapshot(): Snapshot;
  /** @throws where it cannot be opened. */
  store(): Promise<Store['db']>;
  /** @throws GatewayError */
  explain(query: ExplainQuery): Explanation;
  health(): HealthReport;
  /** A key in force, of the configuration or of the store. */
  keyNamed(name: string): { organisation: string; team: string } | undefined;
  /** Tells the operator of a fault of the gateway's own. */
  alarm(what: string, fields: Record<string, unknown>): void;
}
