/** Organisations, teams and keys as people write them: in the configuration file, the admin API and the store alike. */
import { z } from 'zod';
import { prototypeName } from '../core/json.ts';
import { isAddressRange } from './addresses.ts';
import { limit } from './limit-schema.ts';
import { operationNames } from './operation-names.ts';
import { pricing } from './pricing-schema.ts';
import { secret, text } from './values.ts';

const maxNameLength = 128;
/** So many of a kind one list may have. */
const maxListed = 1000;

/** Of an organisation, team or key; shown in usage and logs. */
export const tenantName = text
  .min(1, { error: 'is empty; give it a name' })
  .max(maxNameLength, { error: `is too long; a name has up to ${maxNameLength} characters` })
  .refine(
    (name) => name === name.trim() && !/\p{C}/u.test(name) && ![prototypeName, '.', '..'].includes(name),
    {
      error: 'is no usable name; write one without spaces around it and without control characters',
    },
  );

/** A list that restricts: one that is empty would allow nothing. */
function allowing<Item extends z.ZodType>(item: Item) {
  return z
    .array(item)
    .max(maxListed, { error: `may have up to ${maxListed} entries; a trailing * stands for many` })
    .optional();
}

const modelPattern = text
  .min(1)
  .max(512)
  .refine((pattern) => [-1, pattern.length - 1].includes(pattern.indexOf('*')), {
    error: 'has a * inside; a * may only stand at the end, such as openai/*',
  });

const limits = z.array(limit).max(100).default([]);

/** What all three have. */
const common = {
  models: allowing(modelPattern).describe(
    'Models that may be asked for, by the names clients say; a trailing * matches a prefix. Default: all.',
  ),
  operations: allowing(
    z.enum(operationNames, { error: `must be one of ${operationNames.join(', ')}` }),
  ).describe('What may be asked of them. Default: everything.'),
  addresses: allowing(
    text.refine(isAddressRange, {
      error: 'must be an IP address or a range of them, such as 10.0.0.0/8 or "2001:db8::/32"',
    }),
  ).describe('IP addresses and ranges that calls may come from. Default: all.'),
  limits: limits.describe('At most so much per window; every one of them holds.'),
  end_users: z
    .strictObject({ limits: limits.describe('What each end user may use at most.') })
    .prefault({})
    .describe('For each of its end users, whom calls name in the header x-sluice-end-user.'),
  disabled: z
    .boolean({ error: 'must be true or false' })
    .default(false)
    .describe('true switches it off, and all that belongs to it.'),
};

const moment = text
  .refine((value) => !Number.isNaN(Date.parse(value)), { error: 'must be a date, such as 2030-01-31' })
  .transform((value) => Date.parse(value));

export const organisationSchema = z.strictObject({ ...common, pricing: pricing.optional() });

export const teamSchema = z.strictObject({
  organisation: tenantName.default('default').describe('Organisation the team belongs to.'),
  ...common,
});

/** A key without its name and secret: what the store keeps of it as a document. */
export const keySchema = z.strictObject({
  team: tenantName.default('default').describe('Team the key belongs to.'),
  ...common,
  expires: moment
    .optional()
    .describe('When the key stops working, such as 2030-01-31 or 2030-01-31T12:00:00Z.'),
});

/** A key in the configuration file. */
export const configKeySchema = z.strictObject({
  name: tenantName.describe('Name of the key, shown in usage and logs.'),
  key: secret.describe('The secret applications send, best as ${VARIABLE}; only its hash is kept.'),
  previous: z
    .strictObject({
      key: secret.describe('The secret before, best as ${VARIABLE}.'),
      until: moment.describe('When it stops working, such as 2030-01-31T12:00:00Z.'),
    })
    .optional()
    .describe('The secret before this one, which goes on working for a while.'),
  ...keySchema.shape,
});

export type OrganisationDocument = z.output<typeof organisationSchema>;
export type TeamDocument = z.output<typeof teamSchema>;
export type KeyDocument = z.output<typeof keySchema>;
