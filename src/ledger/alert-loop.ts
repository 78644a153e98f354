/** Tells webhooks of alerts: keeps them in the store's outbox, sends what is due, and sends from memory while there is no store. */
import type { Kysely } from 'kysely';
import { type Alert, identityOf } from '../core/alert.ts';
import { type Message, toMessage, type Webhook, wants, webhookName } from '../core/webhook.ts';
import { addAlert, type Due, forgetAlerts, noteDelivery, takeDue } from '../store/alerts.ts';
import type { Schema } from '../store/schema.ts';

/** After the n-th failure it is tried again so much later, then as the last one says, until it is given up. */
const pausesMs = [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000];
const giveUpAfterMs = 3 * 24 * 3_600_000;
/** Longer than any delivery takes: whoever is silent for so long is dead. */
const leaseMs = 60_000;
const takenAtOnce = 16;
/** Alerts that wait for a store; of more, the oldest are dropped, and counted. */
const maxWaiting = 1000;
/** A store that does not answer for so long is down. */
const patienceMs = 5_000;
const kept = { forMs: 62 * 24 * 3_600_000, sweptEveryMs: 6 * 3_600_000 };

/** How a delivery went, for the log. */
export interface Told {
  id: string;
  /** Without its path, which may be a secret. */
  to: string;
  /** Undefined: well. */
  error?: string;
  givenUp?: boolean;
}

export interface AlertLoopOptions {
  /** Undefined while there is no store. */
  db(): Kysely<Schema> | undefined;
  /** @throws DeliveryError */
  send(webhook: Webhook, message: Message): Promise<void>;
  onTold(told: Told): void;
  now?: () => number;
  random?: () => number;
}

/** An alert that is not in the store yet. */
interface Waiting {
  alert: Alert;
  message: Message;
  /** Webhooks that have it already. */
  told: Set<string>;
  tries: number;
  dueAt: number;
}

export class AlertLoop {
  /** Alerts dropped since the start, because the store was away for too long. */
  dropped = 0;
  private webhooks = new Map<string, Webhook>();
  private readonly waiting = new Map<string, Waiting>();
  private sweptAt = 0;
  private readonly now: () => number;
  private readonly random: () => number;

  constructor(private readonly options: AlertLoopOptions) {
    this.now = options.now ?? Date.now;
    this.random = options.random ?? Math.random;
  }

  /** Those of the configuration in force. What is due for others waits until they are back, or for ever. */
  set(webhooks: readonly Webhook[]): void {
    this.webhooks = new Map(webhooks.map((webhook) => [webhookName(webhook), webhook]));
  }

  raise(alert: Alert): void {
    if (![...this.webhooks.values()].some((webhook) => wants(webhook, alert))) return;
    const message = toMessage(alert);
    if (this.waiting.has(message.id)) return;
    if (this.waiting.size >= maxWaiting) {
      this.waiting.delete(this.waiting.keys().next().value!);
      this.dropped++;
    }
    this.waiting.set(message.id, { alert, message, told: new Set(), tries: 0, dueAt: this.now() });
  }

  /** One round: stores what waits, sends what is due. Never rejects. */
  async step(): Promise<void> {
    if (this.webhooks.size === 0) return;
    try {
      const db = this.options.db();
      if (db === undefined) throw new Error('there is no store');
      await within(patienceMs, this.store(db));
      await this.sendDue(db);
      await this.sweep(db);
    } catch {
      // Whoever has to repair the store would hear of it only when it is repaired.
      await this.sendWaiting();
    }
  }

  /** Stores what waits, as far as that goes. Never rejects. */
  async flush(): Promise<void> {
    const db = this.options.db();
    if (db !== undefined) await within(patienceMs, this.store(db)).catch(() => {});
  }

  private async store(db: Kysely<Schema>): Promise<void> {
    for (const { alert, message, told } of [...this.waiting.values()]) {
      const deliveries = [...this.webhooks]
        .filter(([, webhook]) => wants(webhook, alert))
        .map(([webhook]) => ({ webhook, delivered: told.has(webhook) }));
      await addAlert(db, { ...message, at: alert.at, identity: identityOf(alert), deliveries });
      this.waiting.delete(message.id);
    }
  }

  private async sendDue(db: Kysely<Schema>): Promise<void> {
    const now = this.now();
    const moment = { now, until: now + leaseMs, limit: takenAtOnce };
    const due = await within(patienceMs, takeDue(db, [...this.webhooks.keys()], moment));
    await Promise.all(due.map((each) => this.deliver(db, each)));
  }

  private async deliver(db: Kysely<Schema>, due: Due): Promise<void> {
    const webhook = this.webhooks.get(due.webhook)!;
    const failure = await this.send(webhook, due, (gone) => {
      const dueAt = this.now() + this.pauseMs(due.tries);
      return gone || dueAt > due.at + giveUpAfterMs ? undefined : dueAt;
    });
    // Where that cannot be noted, it is sent again when the lease is over.
    await within(patienceMs, noteDelivery(db, due, this.now(), failure)).catch(() => {});
  }

  /** @returns how it failed, and when it is to be tried again. */
  private async send(
    webhook: Webhook,
    message: Message,
    again: (gone: boolean) => number | undefined,
  ): Promise<{ error: string; dueAt: number | undefined } | undefined> {
    const told = { id: message.id, to: new URL(webhook.url).origin };
    try {
      await this.options.send(webhook, message);
      this.options.onTold(told);
      return undefined;
    } catch (thrown) {
      const error = (thrown as Error).message;
      const dueAt = again((thrown as { gone?: boolean }).gone === true);
      this.options.onTold({ ...told, error, givenUp: dueAt === undefined });
      return { error, dueAt };
    }
  }

  private async sendWaiting(): Promise<void> {
    const now = this.now();
    for (const waiting of this.waiting.values()) {
      if (waiting.dueAt > now) continue;
      waiting.dueAt = now + this.pauseMs(waiting.tries++);
      await Promise.all(
        [...this.webhooks].map(async ([name, webhook]) => {
          if (waiting.told.has(name) || !wants(webhook, waiting.alert)) return;
          const failure = await this.send(webhook, waiting.message, () => waiting.dueAt);
          if (failure === undefined) waiting.told.add(name);
        }),
      );
    }
  }

  private async sweep(db: Kysely<Schema>): Promise<void> {
    const now = this.now();
    if (now - this.sweptAt < kept.sweptEveryMs) return;
    this.sweptAt = now;
    await within(patienceMs, forgetAlerts(db, now - kept.forMs));
  }

  /** With some disorder, so that not all come back at once. */
  private pauseMs(tries: number): number {
    const pause = pausesMs[Math.min(tries, pausesMs.length - 1)]!;
    return Math.round(pause * (0.8 + 0.4 * this.random()));
  }
}

/** @throws when it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('it does not answer')), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    // Nobody waits for it any more.
    void work.catch(() => {});
  }
}
