/** What shared counters need of a Redis: handed in, so that limits know no client of it. */
export interface NodesRedis {
  /** This process, among all that share it. */
  readonly node: string;
  /** The connection stands; commands may fail all the same. */
  readonly up: boolean;
  /** To be added to the time here to get that of Redis. */
  readonly offsetMs: number;
  /** Name of a key, in one slot with all others. */
  key(name: string): string;
  /** @throws Error while Redis is away, and when it does not answer in time. */
  send(command: string, ...args: (string | number)[]): Promise<unknown>;
  publish(channel: string, message: string): Promise<void>;
  hear(channel: string, listener: (message: string) => void): void;
  onUp(listener: () => void): void;
}

/** Runs a script by its digest; Redis is sent its text when it does not know it. */
export class Script {
  private readonly digest: string;

  constructor(private readonly text: string) {
    this.digest = new Bun.CryptoHasher('sha1').update(text).digest('hex');
  }

  async run(
    redis: NodesRedis,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    try {
      return await redis.send('EVALSHA', this.digest, keys.length, ...keys, ...args);
    } catch (error) {
      if (!String((error as Error).message).startsWith('NOSCRIPT')) throw error;
      return await redis.send('EVAL', this.text, keys.length, ...keys, ...args);
    }
  }
}
