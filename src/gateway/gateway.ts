/** All that the data plane needs, handed in by app.ts: it reaches for nothing by itself. */
import type { Snapshot } from '../config/snapshot.ts';
import type { Observer } from '../core/observer.ts';
import type { Journal } from '../core/record.ts';
import type { Keyring } from '../governance/keys.ts';
import type { Limiter } from '../governance/limits.ts';
import type { Health } from '../routing/health.ts';
import type { Measures } from '../routing/measures.ts';
import type { Sight } from '../routing/moment.ts';
import type { RetryBudget } from '../routing/retry-budget.ts';
import type { HttpPool } from '../wire/http/pool.ts';
import type { Deadlines } from './deadlines.ts';
import type { Inflight } from './inflight.ts';
import type { KeptAnswers } from './kept-answers.ts';
import type { Shadows } from './mirror.ts';
import type { KeptObjects } from './objects/kept-objects.ts';
import type { SchemaCheck } from './schema-checker.ts';
import type { VendorMemory } from './vendor-memory.ts';

export interface Gateway {
  /** The configuration in force; ask once a call and keep the answer. */
  snapshot(): Snapshot;
  keyring: Keyring;
  limiter: Limiter;
  health: Health;
  /** Of attempts beyond the first of each call. */
  retries: RetryBudget;
  measures: Measures;
  /** What routes are chosen by: health and measures as one. */
  sight: Sight;
  journal: Journal;
  observer: Observer;
  /** Connections to providers. */
  http: HttpPool;
  deadlines: Deadlines;
  inflight: Inflight;
  /** What is asked beside calls, for nobody to hear. */
  shadows: Shadows;
  /** Counts the tokens of a text, off this thread. */
  countTokens(text: string): Promise<number>;
  /** Checks answers against schemas, off this thread. */
  schemas: SchemaCheck;
  answers: KeptAnswers;
  objects: KeptObjects;
  memory: VendorMemory;
  random(): number;
  /** Sends same-dialect traffic through the hub too: a test's way to prove that the hub loses nothing. */
  forceTranslate: boolean;
}
