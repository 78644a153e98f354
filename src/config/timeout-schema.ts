/** Time limits of calls, as the configuration has them: of a provider, or of a route. */
import { z } from 'zod';
import type { Timeouts } from './snapshot.ts';
import { amount, duration } from './values.ts';

export const timeout = z.strictObject({
  connect: duration.optional().describe('Longest wait for a connection (default 10s).'),
  first_byte: duration
    .optional()
    .describe('Longest wait for the first token of an answer; pings and comments are none (default 5m).'),
  idle: duration.optional().describe('Longest silence within a streamed answer (default 2m).'),
  min_rate: amount('must be bytes a second, from 0 to 1000000', (n) => n >= 0 && n <= 1e6)
    .optional()
    .describe('Fewest bytes a second of an answer that has begun, over 10 s (default 0: any).'),
  total: duration
    .optional()
    .describe('Longest time one attempt may take, its whole answer included (default 30m).'),
});

export type TimeoutConfig = z.output<typeof timeout>;

/** Only what is said. */
export function compileTimeouts(said: TimeoutConfig): Partial<Timeouts> {
  return {
    ...(said.connect === undefined ? {} : { connectMs: said.connect }),
    ...(said.first_byte === undefined ? {} : { firstByteMs: said.first_byte }),
    ...(said.idle === undefined ? {} : { idleMs: said.idle }),
    ...(said.min_rate === undefined ? {} : { minBytesPerS: said.min_rate }),
    ...(said.total === undefined ? {} : { totalMs: said.total, sessionMs: said.total }),
  };
}
