/** A limit, as the configuration has it. */
import { z } from 'zod';
import { amount, maxUsd, wholeLimit } from './values.ts';

export const limit = z
  .strictObject({
    requests: wholeLimit(1e12).optional().describe('Calls per window.'),
    tokens: wholeLimit(1e15).optional().describe('Input and output tokens per window.'),
    usd: amount(`must be an amount above 0, at most ${maxUsd}`, (n) => n > 0 && n <= maxUsd)
      .optional()
      .describe('US dollars per window.'),
    concurrency: wholeLimit(1_000_000).optional().describe('Calls in flight at once; has no window.'),
    per: z
      .enum(['second', 'minute', 'hour', 'day', 'month'], {
        error: 'must be second, minute, hour, day or month',
      })
      .optional()
      .describe('The window, on the UTC calendar.'),
  })
  .superRefine((value, context) => {
    const units = (['requests', 'tokens', 'usd', 'concurrency'] as const).filter(
      (unit) => value[unit] !== undefined,
    );
    const mistake = (message: string) => context.addIssue({ code: 'custom', message });
    if (units.length !== 1)
      mistake('must have exactly one of requests, tokens, usd, concurrency; write one limit each');
    else if (units[0] === 'concurrency' && value.per !== undefined)
      mistake('concurrency has no window; remove per');
    else if (units[0] !== 'concurrency' && value.per === undefined)
      mistake('needs a window; add per: minute');
  });

export type LimitConfig = z.output<typeof limit>;
