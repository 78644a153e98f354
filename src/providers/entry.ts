/** What the catalogue says of a provider. */
import type { DialectName } from '../core/chat.ts';
import type { Quirks } from '../dialects/quirks.ts';
import type { Identity, KeyScheme } from './auth.ts';
import type { ModelRule } from './families.ts';
import type { HostName, Place, SettingName, Settings } from './places.ts';
import type { StatedPrice } from './prices.ts';

export interface CatalogueEntry {
  /** Variables that usually hold its key, the first set one counts. */
  env: readonly string[];
  /** Dialect → base URL (the dialect's path is appended), or places of which the first that fits counts; the preferred dialect first. */
  speaks: Readonly<Partial<Record<DialectName, string | Place | readonly (string | Place)[]>>>;
  /** The server, where `speaks` has paths below it: what the configuration's `url` takes the place of. */
  url?: string;
  /** The placeholder `{host}` of its URLs. */
  host?: HostName;
  /** Settings its URLs need → variables that usually hold them. */
  settings?: Readonly<Partial<Record<SettingName, readonly string[]>>>;
  /** Settings where nobody says otherwise. */
  defaults?: Settings;
  /** How a key is sent; default: bearer. */
  auth?: KeyScheme;
  /** What authorises calls where there is no key. */
  identity?: Identity;
  /** The name it signs by, where `identity` asks for one. */
  service?: string;
  /** Needs no key: it is on when configured, or when one of `env` or `urlEnv` is set. */
  keyless?: boolean;
  /** Variable that says where its server listens. */
  urlEnv?: string;
  /** Differences of the provider from its dialects. */
  quirks?: Quirks;
  /** Differences of model families; later rules win over earlier ones and over `quirks`. */
  models?: readonly ModelRule[];
  /** Some of its models, for lists; any other may be asked for too. */
  known?: readonly string[];
  /** Its id in the price list (genai-prices); absent: no prices are known. */
  prices?: string;
  /** Made-up prices, for a provider that bills nobody. */
  price?: StatedPrice;
  /** Keeps files, and runs batches, for clients of the dialect it is known by. */
  keeps?: boolean;
  /** What part of the usual price is paid for requests of a batch, as the provider publishes it. */
  batchShare?: number;
  /** Static headers of every call. */
  headers?: Readonly<Record<string, string>>;
}
