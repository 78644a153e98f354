/** How long the store keeps what is not needed for ever. */

/** Milliseconds; undefined: for ever. */
export interface Retention {
  /** Single attempts, with their sessions and end users; sums stay. */
  callsMs: number | undefined;
  plansMs: number | undefined;
}
