/** The tables of the store, as Kysely types. Times are milliseconds since 1970; money is nano-dollars; flags are 0 or 1. */
import type { Generated } from 'kysely';

export interface Schema {
  series: SeriesTable;
  attempts: AttemptsTable;
  plans: PlansTable;
  prices: PricesTable;
  labels: LabelsTable;
  rollups: RollupsTable;
  organisations: OrganisationsTable;
  teams: TeamsTable;
  days: DaysTable;
  facets: FacetsTable;
  latencies: LatenciesTable;
  keys: KeysTable;
  tokens: TokensTable;
  audit: AuditTable;
  repeats: RepeatsTable;
  provider_keys: ProviderKeysTable;
  price_overrides: PriceOverridesTable;
  answers: AnswersTable;
  objects: ObjectsTable;
  alerts: AlertsTable;
  alert_deliveries: AlertDeliveriesTable;
  meta: MetaTable;
}

/** What attempts and roll-ups have in common, written once: one row for each combination that occurred. */
export interface SeriesTable {
  id: Generated<number>;
  key: string;
  team: string;
  organisation: string;
  /** As the client named it. */
  model: string;
  /** provider/model that was asked. */
  target: string;
  provider: string;
  /** Canonical `a=b,c=d`; '' for none. */
  tags: string;
  price_source: string;
  /** `chat`, or what else was asked for. */
  operation: string;
  why: string;
  /** See PricesTable; '' where no price is known. */
  price_version: Generated<string>;
}

/** One row per attempt: (call, attempt) is its identity. Ten millions of them are usual: what is mostly nothing is null. */
export interface AttemptsTable {
  /** See packCallId. */
  call: Uint8Array;
  attempt: number;
  /** When it ended. */
  at: number;
  series: number;
  /** Facet of its key: what the calls of a key are found by. */
  key: number;
  duration_ms: number;
  /** Null: no meaningful byte came. */
  first_byte_ms: number | null;
  /** Labels; null: not said. */
  session: number | null;
  end_user: number | null;
  outcome: string;
  upstream_status: number;
  client_status: number;
  stream: number;
  final: number;
  estimated: number;
  input: number;
  /** These six: null for zero. */
  cache_read: number | null;
  cache_write_5m: number | null;
  cache_write_1h: number | null;
  output: number;
  reasoning: number | null;
  audio_input: number | null;
  audio_output: number | null;
  /** What is not told in those tokens, as a JSON object: `{"image":2}`; null for nothing. */
  units: string | null;
  /** Null: unpriced. */
  nano_usd: number | null;
  /** What the organisation was charged and its limits counted; null: as much as it cost. */
  sell_nano_usd: number | null;
  /** Paths of request members that were lost, one per line; null: none. */
  lost: string | null;
}

/** Sessions and end users, each written once. */
export interface LabelsTable {
  id: Generated<number>;
  label: string;
  /** Days since 1970: it was used no later than on the day after. */
  seen: number;
}

/** Plans of calls whose route chose among targets. */
export interface PlansTable {
  call: string;
  /** When it was made. */
  at: number;
  /** JSON of a RecordedPlan. */
  plan: string;
}

/** Prices that were charged by, by their versions. */
export interface PricesTable {
  version: string;
  source: string;
  /** All its rates as JSON, in pico-dollars. */
  price: string;
  first_seen: number;
}

/** Sums of attempts. */
interface Sums {
  /** Final attempts. */
  calls: number;
  attempts: number;
  /** Attempts that used something and have no price. */
  unpriced: number;
  estimated: number;
  /** Attempts whose outcome is neither `ok` nor `cancelled`. */
  errors: number;
  input: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
  nano_usd: number;
  /** What was charged for them; for attempts without a price of their own, what they cost. */
  sell_nano_usd: Generated<number>;
}

/** Sums per hour: what limits and charts are answered from. */
export interface RollupsTable extends Sums {
  /** Hours since 1970, UTC. */
  hour: number;
  series: number;
}

/** The same per day: what longer times are answered from. */
export interface DaysTable extends Sums {
  /** Days since 1970, UTC. */
  day: number;
  series: number;
}

/** Whose latencies are kept together: a key's, with the others empty; or those of a model at a target, without a key. */
export interface FacetsTable {
  id: Generated<number>;
  key: string;
  model: string;
  target: string;
}

/** How long attempts took that went well: histograms, see histogram.ts. */
export interface LatenciesTable {
  /** Hours since 1970, UTC. */
  hour: number;
  facet: number;
  /** From dispatch to the end, in milliseconds. */
  duration: Uint8Array;
  /** From dispatch to the first meaningful bytes of a stream. */
  first_byte: Uint8Array;
}

/** Organisations made at run time; those of the configuration file are not here, as of teams and keys. */
export interface OrganisationsTable {
  name: string;
  /** JSON of what the configuration file would say of it. */
  document: string;
  /** Of the store, at which it was changed last. */
  revision: number;
  created_at: number;
  updated_at: number;
}

export interface TeamsTable extends OrganisationsTable {
  /** As its document has it. */
  organisation: string;
}

export interface KeysTable extends OrganisationsTable {
  id: string;
  /** SHA-256 of the secret, hex. */
  hash: string;
  /** As its document has it. */
  team: string;
  /** Of the secret before, and until when that works. */
  previous_hash: string | null;
  previous_until: number | null;
  revoked_at: number | null;
}

/** Tokens of the admin API. */
export interface TokensTable {
  id: string;
  name: string;
  /** SHA-256 of the secret, hex. */
  hash: string;
  /** `owner`, `admin`, `billing`, `viewer` or `member`. */
  role: string;
  /** All that it sees and changes; null: everything. A team's has its organisation too. */
  organisation: string | null;
  team: string | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

/** Every change: written with what it tells of, or not at all. */
export interface AuditTable {
  /** Ids sort by time. */
  id: string;
  at: number;
  /** Id and name of an admin token, `cli`, or what else changed something. */
  actor: string;
  /** `create`, `update`, `revoke` … */
  action: string;
  /** What was changed, with its id: `key:key_1a2b`. */
  subject: string;
  /** JSON, without any secret; null: there was nothing, or there is nothing any more. */
  before: string | null;
  after: string | null;
  /** Whose it was; null: the gateway's. */
  scope_organisation: string | null;
  scope_team: string | null;
}

/** Requests of the admin API that may be sent again, by the token and its `Idempotency-Key`. */
export interface RepeatsTable {
  token: string;
  key: string;
  /** SHA-256 of method, path and body, hex. */
  request: string;
  /** Encrypted for whoever has the token's secret; null: it is being made. */
  answer: string | null;
  created_at: number;
}

/** Keys of providers, encrypted with a key that is derived from `SLUICE_SECRET`. */
export interface ProviderKeysTable {
  id: string;
  provider: string;
  name: string;
  /** Tells secrets apart, and no more. */
  fingerprint: string;
  sealed: string;
  created_at: number;
}

/** Prices that operators set at run time, in the words of the configuration file, JSON. */
export interface PriceOverridesTable {
  target: string;
  price: string;
  changed_at: number;
}

/** Answers kept for clients that go on from them by id; the only table with words of prompts and answers in it. */
export interface AnswersTable {
  id: string;
  /** Whose they are: nobody else finds them. */
  owner: string;
  /** The answer this one went on from. */
  previous: string | null;
  created_at: number;
  /** Bodies as the client sent and received them, JSON. */
  request: string;
  response: string;
}

/** Files, batches and unfinished uploads that providers keep: (provider, id) is the identity. */
export interface ObjectsTable {
  provider: string;
  id: string;
  /** `file`, `batch` or `upload`. */
  kind: string;
  /** In whose shape clients know it. */
  surface: string;
  /** Whose it is: nobody else finds it. */
  owner: string;
  /** Which of the provider's keys it was made with: its place among them, and SHA-256 of the secret, hex. */
  key_id: string;
  key_digest: string;
  /** Who made it, and in which call, as a JSON object. */
  maker: string;
  created_at: number;
  expires_at: number | null;
  /** Set: the provider has it no more. */
  removed_at: number | null;
  /** What the provider said of it last, JSON. */
  document: string | null;
  /** 1: it will say nothing else. */
  final: number;
  /** 1: a batch whose cost is in the journal. */
  charged: number;
}

/** Events somebody is told of: (kind, subject, window, threshold) is the event, `id` is made of it. */
export interface AlertsTable {
  id: string;
  kind: string;
  subject: string;
  window: string;
  threshold: number;
  at: number;
  /** JSON, as it is posted. */
  body: string;
}

/** Who is told of which event. */
export interface AlertDeliveriesTable {
  alert: string;
  /** Name of the webhook, which says where to and not by which secret. */
  webhook: string;
  /** When it is to be tried next; null: it is over. */
  due_at: number | null;
  tries: number;
  /** Null: not delivered, or not yet. */
  delivered_at: number | null;
  last_error: string | null;
}

/** Single values: `journal`, the position up to which the journal is applied; `control`, a count of changes. */
export interface MetaTable {
  name: string;
  value: string;
}
