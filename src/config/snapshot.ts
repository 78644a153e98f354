/** The immutable, compiled configuration: all that a call needs, found by Map look-ups. */
import type { DialectName } from '../core/chat.ts';
import type { LimitUnit, WhenExhausted } from '../core/limit.ts';
import type { NanoUsd, Price } from '../core/money.ts';
import type { Retention } from '../core/retention.ts';
import type { Webhook } from '../core/webhook.ts';
import type { Dialect, RealtimeAt } from '../dialects/dialect.ts';
import type { SurfaceName } from '../dialects/objects/surface.ts';
import type { Quirks } from '../dialects/quirks.ts';
import type { Authorise } from '../providers/auth.ts';
import type { Place } from '../providers/places.ts';
import type { Framing } from '../wire/framing.ts';
import type { Switched } from '../wire/tunnel.ts';
import type { Addresses } from './addresses.ts';
import type { Route } from './route.ts';
import type { Window } from './window.ts';

export interface Snapshot {
  /** Counts up with every reload. */
  version: number;
  providers: ReadonlyMap<string, Provider>;
  /** Public model name → route. */
  models: ReadonlyMap<string, Route>;
  /** SHA-256 (hex) of a secret → key. Keys of the configuration; those of the store are found by governance. */
  keys: ReadonlyMap<string, Key>;
  /** Secrets that were replaced and go on working for a while. */
  previousSecrets?: ReadonlyMap<string, PreviousSecret>;
  /** Team name → team, of the configuration and of the store. */
  teams: ReadonlyMap<string, Team>;
  /** Organisation name → organisation; those that nothing is said of are not in it. */
  organisations?: ReadonlyMap<string, Organisation>;
  /** What limits in USD are charged for what has no known price; absent: such targets are not called under them. */
  fallbackPrice?: Price;
  settings: Settings;
  /** When a price in it changes next (milliseconds since 1970), so that it is compiled anew then. */
  pricesChangeAt?: number;
  /** Model names for GET /v1/models: the configured ones, then well-known `provider/model` of each provider that is on. */
  listed: readonly string[];
  /**
   * The route a client's model name means: a configured model, else `provider/model` of a configured provider
   * (compiled when first asked for, remembered within bounds). Undefined: unknown.
   */
  resolve(model: string): Route | undefined;
}

export interface Settings {
  host: string;
  port: number;
  dataDir: string;
  store: string;
  /** Undefined: this is the only node. */
  shared: Shared | undefined;
  bodyLimitBytes: number;
  /** Of files, which pass through without being held. */
  fileLimitBytes: number;
  /** Where images and files are fetched from that clients name by address and a target takes by value only. */
  fetchMedia: 'public' | 'any' | 'off';
  /** Whose X-Forwarded-For is believed; undefined: nobody's. */
  trustedProxies?: Addresses | undefined;
  drainMs: number;
  /** How much of the journal may be missing in the store: from `alarmBytes` on somebody is told, above `limitBytes` calls are refused. */
  journal: { limitBytes: number; alarmBytes: number };
  /** How long the store keeps single calls and their plans. */
  retention: Retention;
  webhooks: readonly Webhook[];
  logLevel: string;
}

/** What several nodes share health and limits through. */
export interface Shared {
  /** redis:// or rediss:// */
  redis: string;
  /** While it is away, and a slice is used up: refuse (`closed`), or let each node count by itself (`open`). */
  whenLost: 'open' | 'closed';
  /** What the names of all keys and channels begin with. */
  prefix: string;
}

export interface Provider {
  name: string;
  /** Dialect → the places where it is spoken, the preferred dialect first. */
  speaks: ReadonlyMap<DialectName, readonly Place[]>;
  /** The pool: one entry per key; one entry with empty `secret` where none is needed. */
  keys: readonly ProviderKey[];
  /** Where it keeps files and batches, by surface; absent: nowhere. */
  keeps?: ReadonlyMap<SurfaceName, Keeper>;
  /** What part of the usual price is paid for requests of a batch; absent: nobody knows. */
  batchShare?: number | undefined;
  timeouts: Timeouts;
  /** How often it is asked whether it is there, while targets of it fail; absent: never. */
  probeMs?: number;
  /** Replaces network access: the built-in mock provider. */
  transport?: (url: string, init: RequestInit) => Promise<Response>;
  /** The same for requests to go on in another protocol; without it, a `transport` has none. */
  switching?: (url: string, headers: Readonly<Record<string, string>>) => Promise<Switched>;
}

/** Where one provider keeps what clients of a surface give it. */
export interface Keeper {
  endpoint: Endpoint;
  /** The same, where files are sent to. */
  uploads: Endpoint;
  /** It is known to, rather than only to speak the language. */
  sure: boolean;
}

export interface ProviderKey {
  /** `openai#1`: for logs and health; never the secret. */
  id: string;
  /** Header that carries the secret, ready to send; undefined where none is needed. */
  header: readonly [name: string, value: string] | undefined;
  /** Makes the headers that authorise one request, where no header is good for all of them. */
  authorise?: Authorise;
  /** Of what those are made from: changes when that is replaced. */
  digest?: string;
}

export interface Timeouts {
  /** Until a connection stands. */
  connectMs: number;
  /** Until the first token of an answer: headers, pings and comments are none. */
  firstByteMs: number;
  idleMs: number;
  /** Of an answer that has begun, over 10 s; 0: however slow. */
  minBytesPerS: number;
  totalMs: number;
  /** Of a realtime session. */
  sessionMs: number;
}

/** Provider and upstream model, compiled, ready to call. */
export interface Target {
  /** `provider/model`. */
  id: string;
  provider: Provider;
  /** The provider's name for it, and the same as JSON text, ready to be put into a body. */
  model: string;
  modelJson: string;
  quirks: Quirks;
  /** The dialects the provider speaks, ready to call, the preferred first. */
  endpoints: readonly Endpoint[];
  /** Undefined: no price is known, calls are `unpriced`. */
  price: Price | undefined;
  /** Tokens of request and answer together, and of an answer, where that is known. */
  contextLength?: number | undefined;
  maxOutput?: number | undefined;
}

export interface Endpoint {
  dialect: Dialect;
  /** Base URL without a trailing slash; `dialect.path()` is appended. */
  base: string;
  headers: Readonly<Record<string, string>>;
  framing: Framing;
  /** Path below `base` of a chat call: the dialect's own, unless the host has another. */
  path(model: string, stream: boolean): string;
  /** Where realtime sessions are held; absent: nowhere. */
  realtime?: RealtimeAt;
  /** Top-level members that the host wants set (JSON text) or left out (undefined) in every request. */
  edits?: Readonly<Record<string, string | undefined>>;
  /** Headers of a client of the same dialect that are top-level members here: a list of what stands between commas. */
  lift?: Readonly<Record<string, string>>;
  /** Refusals are in the host's own words: no client of the dialect would understand them as they are. */
  ownErrors?: boolean;
}

/** What organisation, team and key have in common. */
interface Tenant {
  name: string;
  limits: readonly Limit[];
  /** Of each of its end users; absent: none. */
  endUserLimits?: readonly Limit[] | undefined;
  /** Absent: anything is allowed. */
  restriction?: Restriction | undefined;
  disabled?: boolean;
}

/** What one of key, team and organisation lets calls ask for, and from where; undefined: anything, anywhere. */
export interface Restriction {
  owner: 'key' | 'team' | 'organisation';
  name: string;
  models: Patterns | undefined;
  operations: ReadonlySet<string> | undefined;
  addresses: Addresses | undefined;
}

/** Where a key is found by the secret it had before. */
export interface PreviousSecret {
  key: Key;
  /** Milliseconds since 1970. */
  untilMs: number;
}

/** Names, and prefixes with a `*` behind them. */
export interface Patterns {
  readonly said: readonly string[];
  has(name: string): boolean;
}

export interface Key extends Tenant {
  id: string;
  team: string;
  organisation: string;
  /** Its own and those of its team and organisation: all must allow a call. Absent: none restricts it. */
  restrictions?: readonly Restriction[] | undefined;
  /** Some of key, team and organisation limits each end user. */
  limitsEndUsers?: boolean;
  expiresAt: number | undefined;
  disabled: boolean;
  /** Its team or organisation is switched off. */
  off?: 'team' | 'organisation' | undefined;
}

export interface Team extends Tenant {
  organisation: string;
}

export interface Organisation extends Tenant {
  /** What it pays, in parts per million of what its calls cost; absent: just that. */
  sellPpm?: number;
}

/** At most `max` of a unit per window. `usd` limits count nano-dollars. Concurrency has no window. */
export interface Limit {
  unit: LimitUnit;
  max: number | NanoUsd;
  window: Window | undefined;
  whenExhausted: WhenExhausted;
  /** Percent of `max` at which somebody is told, in rising order. */
  warn: readonly number[];
}
