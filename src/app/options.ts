/** What a gateway is started with. */
import type { Config } from '../config/schema.ts';
import type { Logger } from '../observe/log.ts';
import type { FirstSecrets } from '../store/first-start.ts';

export interface AppOptions {
  config: Config;
  /** Watched for changes; undefined when the configuration comes from the environment. */
  configFile: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** What the command line says stands above the file, also when it is loaded anew. */
  overrides(config: Config): Config;
  log: Logger;
  /** Told of them where the store was away at the start, when it is there. */
  onFirstSecrets?: (secrets: FirstSecrets) => void;
}
