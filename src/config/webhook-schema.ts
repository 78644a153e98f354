/** Webhooks and the journal's bounds, as the configuration has them. */
import { z } from 'zod';
import { webhookEvents } from '../core/webhook.ts';
import { diskSize, text } from './values.ts';

/** https://www.standardwebhooks.com: 24 to 64 bytes in base64 behind `whsec_`. */
function isSecret(value: string): boolean {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1];
  if (encoded === undefined || encoded.length % 4 !== 0) return false;
  const bytes = Buffer.from(encoded, 'base64').length;
  return bytes >= 24 && bytes <= 64;
}

export const webhooks = z
  .array(
    z.strictObject({
      url: text
        .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
          error: 'must be an http:// or https:// address',
        })
        .describe('Where events are posted to.'),
      secret: text
        .trim()
        .refine(isSecret, {
          error:
            'must be whsec_ and 24 to 64 random bytes in base64; make one with: echo "whsec_$(openssl rand -base64 32)"',
        })
        .describe('What events are signed with, best as ${VARIABLE}.'),
      events: z
        .array(z.enum(webhookEvents, { error: `must be one of ${webhookEvents.join(', ')}` }))
        .min(1)
        .optional()
        .describe('Which events are posted. Default: all.'),
      organisation: text
        .min(1)
        .optional()
        .describe('Only events of the limits of this organisation, its teams and keys. Default: all events.'),
    }),
  )
  .superRefine((all, context) => {
    const seen = new Set<string>();
    all.forEach(({ url, organisation = '' }, i) => {
      const name = `${organisation}\n${url}`;
      if (seen.has(name))
        context.addIssue({ code: 'custom', message: 'is there twice; remove one', path: [i, 'url'] });
      seen.add(name);
    });
  });

export const journal = z
  .strictObject({
    limit: diskSize
      .prefault('8gb')
      .describe('New calls are refused while more than this is not in the store yet.'),
    alarm: diskSize.prefault('1gb').describe('From here on an alert is raised.'),
  })
  .superRefine(({ limit, alarm }, context) => {
    if (alarm > limit)
      context.addIssue({ code: 'custom', message: 'is above limit; write a smaller one', path: ['alarm'] });
  });
