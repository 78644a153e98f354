/** Runs the loop of alerts on the applier's thread, beside its work; loaded when there is a webhook. */
import { AlertLoop, type AlertLoopOptions } from './alert-loop.ts';
import { sendWebhook } from './send-webhook.ts';

/** How often it is looked for what other nodes left, and for what is to be tried again. */
const roundMs = 1000;

export interface AlertRunner extends Pick<AlertLoop, 'set' | 'raise'> {
  /** Ends the rounds; what is left is stored, and sent by whoever starts next. */
  stop(): Promise<void>;
}

export function runAlerts(options: Pick<AlertLoopOptions, 'db' | 'onTold'>): AlertRunner {
  const loop = new AlertLoop({ ...options, send: sendWebhook });
  let running = false;
  const timer = setInterval(async () => {
    if (running) return;
    running = true;
    await loop.step();
    running = false;
  }, roundMs);
  return {
    set: (webhooks) => loop.set(webhooks),
    raise: (alert) => loop.raise(alert),
    async stop() {
      clearInterval(timer);
      await loop.flush();
    },
  };
}
