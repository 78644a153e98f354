/** A client's slow reading is told apart from a provider's slow writing. */
import { expect, test } from 'bun:test';
import type { Attempt } from '../../src/gateway/attempt.ts';
import { passOn } from '../../src/gateway/stream.ts';
import type { Outlet } from '../../src/wire/http/server/messages.ts';

/** How long the client of a streamed answer is said to have taken. */
async function restedMs(write: Outlet['write']): Promise<number> {
  const attempt = { settled: true, restedMs: 0 };
  const chunks = [new Uint8Array(1), new Uint8Array(1)];
  await passOn(
    { ready: ['first'], reply: { read: () => chunks.shift() }, done: false } as never,
    { complete: true, terminated: false, push: () => 'next', end: () => undefined } as never,
    { rest() {}, touch() {}, finish() {}, close() {} } as never,
    attempt as unknown as Attempt,
    {} as never,
    { gone: false, write },
  );
  return attempt.restedMs;
}

test('what a client takes its time for is counted, part by part', async () => {
  const waits: number[] = [];
  const rested = await restedMs(async () => {
    const sinceMs = performance.now();
    await Bun.sleep(5);
    waits.push(performance.now() - sinceMs);
  });
  expect(waits).toHaveLength(3);
  // It begins to wait a moment later than the client.
  expect(rested).toBeGreaterThan(waits.reduce((sum, ms) => sum + ms) / 2);
});

test('a client that takes what comes takes no time', async () => {
  expect(await restedMs(() => undefined)).toBe(0);
});
