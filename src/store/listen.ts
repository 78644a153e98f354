/** Hears of changes in PostgreSQL, on a connection of its own that is made anew whenever it is lost. */
import type { Client } from 'pg';
import { controlChannel } from './control.ts';
import { createListener } from './postgres.ts';

const firstPauseMs = 100;
const longestPauseMs = 5000;

/**
 * @param onNotice called for every change, and whenever a connection is made: what was changed before was not heard.
 * @returns what ends it.
 */
export function listen(url: string, onNotice: () => void): () => void {
  let stopped = false;
  let client: Client | undefined;
  let pauseMs = firstPauseMs;

  async function hear(): Promise<void> {
    client = createListener(url);
    const lost = new Promise<void>((resolve) => {
      client!.once('end', resolve);
      client!.on('error', () => resolve());
    });
    client.on('notification', onNotice);
    try {
      await client.connect();
      await client.query(`listen ${controlChannel}`);
      pauseMs = firstPauseMs;
      onNotice();
      if (!stopped) await lost;
    } finally {
      void client.end().catch(() => {});
    }
  }

  async function run(): Promise<void> {
    while (!stopped) {
      // Why it failed is told by whoever works with the store.
      await hear().catch(() => {});
      if (!stopped) await Bun.sleep(pauseMs);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  }

  void run();
  return () => {
    stopped = true;
    void client?.end().catch(() => {});
  };
}
