/** What several nodes share health and limits through, as the configuration has it. */
import { z } from 'zod';
import type { Shared } from './snapshot.ts';
import { text } from './values.ts';

const example = 'such as redis://10.0.0.7:6379';

const isRedis = (url: string) => URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol);

const prefix = 'sluice';

export const shared = z
  .union([
    text.refine((value) => value === 'none' || isRedis(value), {
      error: `must be none, or the address of a Redis, ${example}`,
    }),
    z.strictObject({
      redis: text
        .refine(isRedis, { error: `must be a redis:// or rediss:// address, ${example}` })
        .describe('Address of the Redis, with user, password and database where it has them.'),
      when_lost: z
        .enum(['open', 'closed'], { error: 'must be open or closed' })
        .default('closed')
        .describe(
          'What becomes of limits while Redis is away and a node has used up its slice: closed refuses calls, open lets each node count by itself.',
        ),
      prefix: text
        .regex(/^[\w.-]{1,64}$/, { error: 'must be up to 64 letters, digits, dots, dashes or underscores' })
        .default(prefix)
        .describe(
          'What the names of all keys begin with: gateways that share a Redis, and nothing else, differ in it.',
        ),
    }),
  ])
  .transform((value): Shared | undefined => {
    if (value === 'none') return undefined;
    if (typeof value === 'string') return { redis: value, whenLost: 'closed', prefix };
    return { redis: value.redis, whenLost: value.when_lost, prefix: value.prefix };
  });
