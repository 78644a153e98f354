/** The one schema of the configuration file; `sluice schema` publishes it as JSON Schema. */
import { z } from 'zod';
import type { DialectName } from '../core/chat.ts';
import { dialects } from '../dialects/index.ts';
import { type AuthScheme, keySchemes } from '../providers/auth.ts';
import { identities } from '../providers/identity.ts';
import { type SettingName, settingForms } from '../providers/places.ts';
import { isAddressRange } from './addresses.ts';
import { price } from './price-schema.ts';
import { route } from './route-schema.ts';
import { shared } from './shared-schema.ts';
import { configKeySchema, organisationSchema, teamSchema, tenantName } from './tenant-schema.ts';
import { timeout } from './timeout-schema.ts';
import { duration, keptFor, secret, size, text } from './values.ts';
import { journal, webhooks } from './webhook-schema.ts';

/** Those a provider can be called in. */
const spoken: readonly DialectName[] = [...dialects.keys()];

const listen = z
  .string({ error: 'must be host:port, such as 127.0.0.1:4000' })
  .transform((address, context) => {
    const [, host, port] = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/]+):(\d{1,5})$/.exec(address.trim()) ?? [];
    if (host !== undefined && Number(port) <= 65_535)
      return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
    context.addIssue({
      code: 'custom',
      message: `"${address}" is no address; write host:port, such as 127.0.0.1:4000 or "[::1]:4000"`,
    });
    return z.NEVER;
  });

const url = text
  .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
    error: 'must be an http:// or https:// address including its path, such as http://10.0.0.5:8000/v1',
  })
  .transform((value) => value.replace(/\/+$/, ''));

const dialect = z.enum(spoken, { error: `must be a dialect: ${listed(spoken)}` });

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

const authSchemes: readonly AuthScheme[] = [
  ...keySchemes,
  ...(Object.keys(identities) as (keyof typeof identities)[]),
];

function setting(name: SettingName, says: string) {
  const { form, example } = settingForms[name];
  const error = `is not usable; write, for example, ${name}: ${example}`;
  return text
    .refine((value) => form.test(value), { error })
    .optional()
    .describe(says);
}

const provider = z.strictObject({
  like: text
    .optional()
    .describe('Name of a catalogue provider that this one is another account, region or server of.'),
  key: secret
    .optional()
    .describe("The provider's key, best as ${VARIABLE}. Default: the provider's usual variable."),
  keys: z
    .array(secret)
    .optional()
    .describe(
      'A pool of keys: limited ones rotate, dead ones are set aside. [] where all of them are kept by the admin API.',
    ),
  speaks: z
    .union([dialect, z.array(dialect).min(1), z.partialRecord(dialect, url)])
    .optional()
    .describe('Dialect(s) the provider understands, the preferred first, or a map of dialect to base URL.'),
  url: url
    .optional()
    .describe(
      'Base URL, including /v1 where there is one, with {model} where the name of the model stands. Needed for providers outside the catalogue.',
    ),
  auth: z
    .enum(authSchemes, { error: `must be ${listed(authSchemes)}` })
    .optional()
    .describe(
      'How calls are authorised: the header a key is sent in, or whose signature or token stands for one. Default: as the provider expects.',
    ),
  region: setting('region', 'Region of a provider that has several.'),
  project: setting('project', 'Project that calls are made in.'),
  location: setting('location', 'Location of a provider that has several.'),
  resource: setting('resource', "Name of the resource that is part of the provider's host name."),
  account: setting('account', "Id of the account that is part of the provider's URLs."),
  api_version: setting('api_version', 'Dated version of an API that has them.'),
  access_key_id: secret.optional().describe('Id of the key that requests are signed with.'),
  secret_access_key: secret.optional().describe('The key that requests are signed with.'),
  session_token: secret.optional().describe('Goes with a temporary key that requests are signed with.'),
  credentials: text.min(1).optional().describe('JSON file with the credentials that tokens are fetched by.'),
  timeout: timeout.optional().describe('Time limits of calls to this provider.'),
  probe: duration
    .optional()
    .describe(
      'How often a provider whose targets fail is asked for its list of models, which costs nothing, so that calls need not find out that nobody is there. Default: only calls find out.',
    ),
});

/** Whether `store` may say so. */
export function isStore(value: string): boolean {
  if (value === 'sqlite') return true;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return /^postgres(ql)?:$/.test(url?.protocol ?? '') && url!.pathname.length > 1;
}

export const configSchema = z
  .strictObject({
    listen: listen.prefault('127.0.0.1:4000').describe('Address to listen on, host:port.'),
    data: text.min(1).default('./sluice-data').describe('Folder of the journal and of the SQLite database.'),
    store: text
      .refine(isStore, {
        error: 'write sqlite, or a URL such as postgres://user:password@host:5432/database',
      })
      .default('sqlite')
      .describe(
        'Where calls and keys are kept: `sqlite` (a file in `data`), or a PostgreSQL database that several nodes share, `postgres://user:password@host:5432/database`.',
      ),
    journal: journal.prefault({}).describe('How much the journal may hold that is not in the store yet.'),
    retention: z
      .strictObject({
        calls: keptFor
          .prefault('400d')
          .describe('Single calls: who asked what when, with sessions and end users. Sums stay for ever.'),
        plans: keptFor.prefault('30d').describe('Why calls went where they went.'),
      })
      .prefault({})
      .describe('How long the store keeps what: 90d, 12w, 2y or forever.'),
    shared: shared
      .prefault('none')
      .describe('What several nodes share their health and limits through: none, or a Redis.'),
    body_limit: size.prefault('32mb').describe('Largest request body.'),
    file_limit: size
      .prefault('512mb')
      .describe('Largest file that is uploaded to a provider; it passes through, and is not held in memory.'),
    fetch_media: z
      .enum(['public', 'any', 'off'], { error: 'must be public, any or off' })
      .default('public')
      .describe(
        'Where the gateway fetches images and files from that clients name by address and a model takes by value only: the public internet, anywhere it can reach, or nowhere.',
      ),
    trusted_proxies: z
      .array(
        text.refine(isAddressRange, {
          error: 'must be an IP address or a range of them, such as 10.0.0.0/8 or "2001:db8::/32"',
        }),
      )
      .default([])
      .describe(
        'Proxies before the gateway, by IP address or range: what they say in X-Forwarded-For of where a call comes from is believed.',
      ),
    drain: duration.prefault('30s').describe('How long open calls may go on after SIGTERM.'),
    log: z
      .strictObject({
        level: z
          .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
            error: 'must be trace, debug, info, warn, error or silent',
          })
          .default('info')
          .describe('The least severe lines that are written.'),
      })
      .prefault({})
      .describe('Logging.'),
    providers: z
      .record(z.string(), provider)
      .optional()
      .describe(
        'Whom to call, by name. Default: every catalogue provider whose usual variable is set, and mock.',
      ),
    models: z
      .record(z.string(), route)
      .default({})
      .describe('Public model names and the routes they stand for.'),
    keys: z.array(configKeySchema).default([]).describe('Keys applications use.'),
    teams: z.record(tenantName, teamSchema).default({}).describe('Teams, by name.'),
    organisations: z
      .record(tenantName, organisationSchema)
      .default({})
      .describe('Organisations, by name; one that nothing is said of needs no entry.'),
    prices: z
      .record(z.string(), price)
      .default({})
      .describe(
        'Prices by provider/model, USD per million tokens or in units of their own; they override the catalogue.',
      ),
    unpriced: price
      .optional()
      .describe(
        'What limits in USD are charged for calls that no price is known for, which stay marked unpriced. Default: keys with such limits cannot call them.',
      ),
    webhooks: webhooks.default([]).describe('Where operators and tenants are told of events.'),
  })
  .describe(
    'Configuration of Sluice. ${VARIABLE} and ${VARIABLE:-default} are replaced from the environment.',
  );

export type Config = z.output<typeof configSchema>;
export type ProviderConfig = z.output<typeof provider>;

/** The JSON Schema (2020-12) of the file as people write it. */
export function toJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input' });
}
