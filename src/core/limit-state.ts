/** How full one limit is, as it is told to people. */
export interface LimitState {
  /** `key`, `team` or `organisation`. */
  owner: string;
  name: string;
  /** In words: `60 requests per minute`. */
  limit: string;
  unit: string;
  /** `minute`, `month`, `lifetime` and so on; null: calls at once. */
  per: string | null;
  /** The last minute, month and so on at any moment. */
  sliding: boolean;
  /** IANA name of the zone of the window's calendar; null: calls at once. */
  time_zone: string | null;
  /** Decimal numbers, USD where that is the unit. */
  max: string;
  used: string;
  reserved: string;
  /** Of `max` that is used or reserved. */
  percent: number;
}
