/** The Redis that several nodes share: one connection for commands, one to hear what other nodes say. */
import type { Redis, RedisOptions } from 'ioredis';
import { randomId } from '../core/id.ts';

export interface RedisPlace {
  /** redis:// or rediss:// */
  url: string;
  /** What the names of all keys and channels begin with. */
  prefix: string;
}

export interface RedisEvents {
  /** The connection stands, for the first time or again. */
  onUp(): void;
  /** It broke, or cannot be made: told once, until it stands again. */
  onDown(reason: string): void;
}

/** A command that has no answer by then has failed; Redis may do it all the same. */
const commandTimeoutMs = 1_000;
/** Less than nodes wait for each other when Redis has lost its data. */
const maxReconnectMs = 1_000;
/** How often it is measured how far the clock here is from that of Redis. */
const clockMs = 30_000;

/** Never throws for a Redis that is away: commands fail at once while it is, and it is looked for again and again. */
export class SharedRedis {
  /** This process, among all that share the Redis. */
  readonly node = randomId('');
  /** To be added to the time here to get that of Redis. */
  offsetMs = 0;
  private isUp = false;
  private toldDown = false;
  private readonly commands: Redis;
  private readonly ears: Redis;
  private readonly listeners = new Map<string, (message: string) => void>();
  private readonly upListeners: (() => void)[] = [];
  private readonly hearingListeners: (() => void)[] = [];
  private readonly clock: Timer;

  constructor(
    redis: typeof Redis,
    private readonly place: RedisPlace,
    private readonly events: RedisEvents,
  ) {
    const options: RedisOptions = {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 5_000,
      // Many nodes lose it at the same time, and shall not come back at the same time.
      retryStrategy: (times) =>
        Math.min(50 * 2 ** Math.min(times, 10), maxReconnectMs) * (0.5 + Math.random() / 2),
    };
    this.commands = new redis(place.url, { ...options, commandTimeout: commandTimeoutMs });
    this.ears = new redis(place.url, { ...options, autoResubscribe: false });
    this.commands.on('ready', () => void this.comeUp());
    this.commands.on('close', () => this.goDown('the connection broke'));
    this.commands.on('error', (error: Error) => this.goDown(error.message || 'no connection'));
    this.ears.on('ready', () => void this.listen());
    // What is wrong with it, the connection for commands tells.
    this.ears.on('error', () => {});
    this.ears.on('message', (channel: string, message: string) => this.listeners.get(channel)?.(message));
    this.clock = setInterval(() => this.isUp && void this.readClock().catch(() => {}), clockMs);
    this.clock.unref();
  }

  /** The connection stands; commands may fail all the same. */
  get up(): boolean {
    return this.isUp;
  }

  /** Begins to connect. What is to be heard, and who wants to know that it is up, is to be said before. */
  connect(): void {
    for (const each of [this.commands, this.ears]) each.connect().catch(() => {});
  }

  onUp(listener: () => void): void {
    this.upListeners.push(listener);
  }

  /** `listener` is told each time that this node begins to hear others: what they said before, it did not hear. */
  onHearing(listener: () => void): void {
    this.hearingListeners.push(listener);
  }

  /** Name of a key, in one slot with all others of a cluster. */
  key(name: string): string {
    return `{${this.place.prefix}}:${name}`;
  }

  /** @throws Error while Redis is away, and when it does not answer in time. */
  async send(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (!this.isUp) throw new Error('Redis is away.');
    return await this.commands.call(command, ...args.map(String));
  }

  /** Tells all nodes, this one too; whoever is not connected does not hear it. @throws Error */
  async publish(channel: string, message: string): Promise<void> {
    await this.send('PUBLISH', this.channel(channel), message);
  }

  hear(channel: string, listener: (message: string) => void): void {
    this.listeners.set(this.channel(channel), listener);
  }

  async close(): Promise<void> {
    clearInterval(this.clock);
    this.isUp = false;
    this.toldDown = true;
    for (const each of [this.commands, this.ears]) each.disconnect();
  }

  /** Databases of one Redis share their channels. */
  private channel(name: string): string {
    return `${this.place.prefix}${new URL(this.place.url).pathname}:${name}`;
  }

  private async comeUp(): Promise<void> {
    this.isUp = true;
    this.toldDown = false;
    await this.readClock().catch(() => {});
    if (!this.isUp) return;
    this.events.onUp();
    for (const listener of this.upListeners) listener();
  }

  private goDown(reason: string): void {
    this.isUp = false;
    if (this.toldDown) return;
    this.toldDown = true;
    this.events.onDown(reason);
  }

  private async listen(): Promise<void> {
    if (this.listeners.size === 0) return;
    try {
      await this.ears.subscribe(...this.listeners.keys());
    } catch {
      // The next connection listens.
      return;
    }
    for (const listener of this.hearingListeners) listener();
  }

  private async readClock(): Promise<void> {
    const beforeMs = Date.now();
    const [seconds, micros] = (await this.send('TIME')) as [string, string];
    const nowMs = Date.now();
    this.offsetMs = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - (beforeMs + nowMs) / 2);
  }
}

/** Loads what talks to Redis; nothing is connected yet. */
export async function openRedis(place: RedisPlace, events: RedisEvents): Promise<SharedRedis> {
  const { Redis } = await import('ioredis');
  return new SharedRedis(Redis, place, events);
}
