/** Alerts as receivers of webhooks hear of them: events, bodies, and whom each concerns. */
import { type Alert, identityOf } from './alert.ts';
import { formatUsd } from './money.ts';
import { hashSecret } from './secret.ts';

/** What each kind of alert is called outside. */
const eventNames = {
  limit: 'limit.threshold',
  exhausted: 'budget.exhausted',
  key_refused: 'provider_key.refused',
  store: 'store.unwritable',
  journal: 'journal.backlog',
  shared: 'shared.unreachable',
} as const satisfies Record<Alert['kind'], string>;

export type WebhookEvent = (typeof eventNames)[Alert['kind']];

export const webhookEvents = Object.values(eventNames);

export interface Webhook {
  url: string;
  /** `whsec_…`. */
  secret: string;
  /** Undefined: all. */
  events: readonly WebhookEvent[] | undefined;
  /** Only what concerns this organisation. Undefined: all. */
  organisation: string | undefined;
}

/** What a webhook is known by in the store, which holds no secret: the same for as long as it goes to the same place. */
export function webhookName({ url, organisation = '' }: Pick<Webhook, 'url' | 'organisation'>): string {
  return hashSecret(`${organisation}\n${url}`).slice(0, 32);
}

/** A message as it is posted; the same however often it is sent, and from whatever node. */
export interface Message {
  id: string;
  /** JSON: `{ type, timestamp, data }`, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
  body: string;
}

export function toMessage(alert: Alert): Message {
  const { kind, subject, window, threshold } = identityOf(alert);
  const id = `msg_${hashSecret([kind, subject, window, threshold].join('\n')).slice(0, 32)}`;
  const timestamp = new Date(alert.at).toISOString();
  return { id, body: JSON.stringify({ type: eventNames[kind], timestamp, data: dataOf(alert) }) };
}

export function wants({ events, organisation }: Webhook, alert: Alert): boolean {
  if (events?.includes(eventNames[alert.kind]) === false) return false;
  if (organisation === undefined) return true;
  return 'organisation' in alert && alert.organisation === organisation;
}

function dataOf(alert: Alert): object {
  switch (alert.kind) {
    case 'limit':
    case 'exhausted': {
      const { owner, name, organisation, limit, unit, window, threshold } = alert;
      const say = (amount: number) => (unit === 'usd' ? formatUsd(amount) : amount);
      const [used, max] = [say(alert.used), say(alert.max)];
      return { owner, name, organisation, limit, unit, window, threshold, used, max };
    }
    case 'key_refused': {
      const { provider, key, reason, untilMs } = alert;
      const until = Number.isFinite(untilMs) ? new Date(untilMs).toISOString() : null;
      return { provider, key, reason, set_aside_until: until };
    }
    case 'store':
      return { reason: alert.reason };
    case 'shared':
      return { node: alert.node, reason: alert.reason, when_lost: alert.whenLost };
    case 'journal': {
      const { node, backlogBytes, alarmBytes, limitBytes } = alert;
      return { node, backlog_bytes: backlogBytes, alarm_bytes: alarmBytes, limit_bytes: limitBytes };
    }
  }
}
