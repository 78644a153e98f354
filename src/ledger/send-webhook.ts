/** Posts one message to one webhook, signed as https://www.standardwebhooks.com says. */
import { Webhook as Signer } from 'standardwebhooks';
import type { Message, Webhook } from '../core/webhook.ts';

const timeoutMs = 10_000;

/** A delivery that failed; `gone`: the receiver wants no more of it. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';

  constructor(
    message: string,
    readonly gone = false,
  ) {
    super(message);
  }
}

/** Only 2xx is success: a redirect is not followed, an answer's body not read. @throws DeliveryError */
export async function sendWebhook(
  { url, secret }: Pick<Webhook, 'url' | 'secret'>,
  { id, body }: Message,
): Promise<void> {
  const now = new Date();
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'sluice',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Signer(secret).sign(id, now, body),
  };
  let status: number;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    ({ status } = response);
    await response.body?.cancel();
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError';
    throw new DeliveryError(late ? `no answer within ${timeoutMs / 1000} s` : 'no connection');
  }
  if (status < 200 || status > 299) throw new DeliveryError(`status ${status}`, status === 410);
}
