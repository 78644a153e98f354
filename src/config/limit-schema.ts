/** A limit, as the configuration and the admin API have it. */
import { z } from 'zod';
import { exhaustions, periods } from '../core/limit.ts';
import { amount, maxUsd, wholeLimit } from './values.ts';
import { findTimeZone } from './window.ts';

const percent = amount('must be a percentage above 0, at most 100', (n) => n > 0 && n <= 100);

const timeZone = z
  .string({ error: 'must be the name of a time zone, as Europe/Berlin' })
  .transform((name, context) => {
    const zone = findTimeZone(name);
    if (zone !== undefined) return zone;
    context.addIssue({
      code: 'custom',
      message: `"${name.slice(0, 60)}" is no time zone; write it as Europe/Berlin`,
    });
    return z.NEVER;
  });

export const limit = z
  .strictObject({
    requests: wholeLimit(1e12).optional().describe('Calls per window.'),
    tokens: wholeLimit(1e15).optional().describe('Input and output tokens per window.'),
    usd: amount(
      `must be an amount above 0 (0.000000001 is the least), at most ${maxUsd}`,
      (n) => n >= 1e-9 && n <= maxUsd,
    )
      .optional()
      .describe('US dollars per window.'),
    concurrency: wholeLimit(1_000_000).optional().describe('Calls in flight at once; has no window.'),
    per: z
      .enum(periods, { error: `must be ${periods.slice(0, -1).join(', ')} or ${periods.at(-1)}` })
      .optional()
      .describe(
        'The window: of the calendar, unless it slides; weeks begin on Monday, a lifetime never ends.',
      ),
    sliding: z
      .boolean({ error: 'must be true or false' })
      .optional()
      .describe('The last minute, hour, day and so on at any moment, instead of the calendar’s.'),
    time_zone: timeZone.optional().describe('Whose calendar it is, as Europe/Berlin. Default: UTC.'),
    when_exhausted: z
      .enum(exhaustions, { error: 'must be finish, cut or refuse' })
      .optional()
      .describe(
        'What becomes of an answer that needs more than is left. cut (default): it ends there. finish: it is finished. refuse: a call that might need more does not begin.',
      ),
    warn: z
      .array(percent, { error: 'must be a list of percentages, as [50, 80, 100]' })
      .max(10, 'must have at most 10 percentages')
      .optional()
      .describe('Percent of the limit at which somebody is told.'),
  })
  .superRefine((value, context) => {
    const units = (['requests', 'tokens', 'usd', 'concurrency'] as const).filter(
      (unit) => value[unit] !== undefined,
    );
    const mistake = (message: string) => context.addIssue({ code: 'custom', message });
    if (units.length !== 1)
      mistake('must have exactly one of requests, tokens, usd, concurrency; write one limit each');
    else if (units[0] === 'concurrency') {
      const windowed = (['per', 'sliding', 'time_zone', 'warn'] as const).find(
        (name) => value[name] !== undefined,
      );
      if (windowed === 'warn') mistake('concurrency is used up all the time; remove warn');
      else if (windowed !== undefined) mistake(`concurrency has no window; remove ${windowed}`);
    } else if (value.per === undefined) mistake('needs a window; add per: minute');
    else if (value.per === 'lifetime' && (value.sliding === true || value.time_zone !== undefined))
      mistake('a lifetime has no calendar and does not slide; remove sliding and time_zone');
    else if (value.sliding === true && value.time_zone !== undefined)
      mistake('what slides has no calendar; remove time_zone or sliding');
    const counted = units[0] === 'requests' || units[0] === 'concurrency';
    if (counted && value.when_exhausted !== undefined)
      mistake(`a call is one of ${units[0]} from its beginning to its end; remove when_exhausted`);
  });

export type LimitConfig = z.output<typeof limit>;
