/** How full one limit is, as it is told to people. */
export interface LimitState {
  /** `key`, `team` or `organisation`. */
  owner: string;
  name: string;
  unit: string;
  per: string | null;
  /** Decimal numbers, USD where that is the unit. */
  max: string;
  used: string;
  reserved: string;
  /** Of `max` that is used or reserved. */
  percent: number;
}
