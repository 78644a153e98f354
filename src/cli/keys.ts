/** `sluice keys`: makes, lists, changes, rotates and revokes keys; a running gateway learns of it within a second. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { keySchema } from '../config/tenant-schema.ts';
import type { StoredKey } from '../core/tenants.ts';
import { cliActor, writeAudit } from '../store/audit.ts';
import { createKey, findKey, listKeys, revokeKey, rotateKey, updateKey } from '../store/keys.ts';
import { renewFirstToken } from '../store/tokens.ts';
import { commandName } from './command-name.ts';
import { addDataOptions, type DataFlags, runCommand } from './data-dir.ts';
import { fileTenants, unknownModels } from './file-tenants.ts';
import { type Format, formatKeys } from './format-tenants.ts';
import { readSpan } from './moment.ts';
import { change, withStore } from './open-store.ts';
import {
  addTenantOptions,
  checkName,
  documentFrom,
  readExpiry,
  requireChange,
  type TenantFlags,
} from './tenant-flags.ts';

const dayMs = 86_400_000;
const shownOnce =
  'This is the only time its secret is shown: keep it now. A running gateway takes it within a second.';
const expiryOption = ['--expires <when>', 'when it ends: 30d, 12h, or an ISO date (default: never)'] as const;

export function addKeysCommand(program: Command): void {
  const keys = program.command('keys').description('make, list, change, rotate and revoke keys');

  addTenantOptions(
    keys
      .command('create')
      .description('make a key and print its secret, once')
      .requiredOption('--name <name>', 'name of the key, shown in usage')
      .option('--team <team>', 'team it belongs to (default: default)')
      .option(...expiryOption, readExpiry),
    false,
  ).action((flags: TenantFlags & { name: string }) => runCommand(() => create(flags)));

  addDataOptions(
    keys
      .command('list')
      .description('list keys; their secrets are kept nowhere')
      .addOption(
        new Option('--format <format>', 'how to print them').choices(['table', 'json']).default('table'),
      ),
  ).action((flags: DataFlags & { format: Format }) => runCommand(() => list(flags)));

  addTenantOptions(
    keys
      .command('update')
      .description('change what is said of a key; all else stays')
      .argument('<name|id>', 'the key')
      .option('--team <team>', 'team it belongs to')
      .option(...expiryOption, readExpiry),
    true,
  ).action((nameOrId: string, flags: TenantFlags) => runCommand(() => update(nameOrId, flags)));

  addDataOptions(
    keys
      .command('rotate')
      .description('give a key another secret and print it, once')
      .argument('<name|id>', 'the key')
      .option(
        '--grace <span>',
        'how long the secret before goes on working: 0m, 12h, 7d (default: 1d)',
        readGrace,
      ),
  ).action((nameOrId: string, flags: DataFlags & { grace?: number }) =>
    runCommand(() => rotate(nameOrId, flags)),
  );

  addDataOptions(
    keys.command('revoke').description('end a key for good').argument('<name|id>', 'the key'),
  ).action((nameOrId: string, flags: DataFlags) => runCommand(() => revoke(nameOrId, flags)));

  addDataOptions(
    keys.command('admin-token').description('make a new admin token in place of the first one, and print it'),
  ).action((flags: DataFlags) => runCommand(() => withStore(flags, true, renew)));
}

/** The secret alone goes to standard output, so that it can be taken from there. */
async function renew(db: Parameters<typeof renewFirstToken>[0]): Promise<string> {
  const token = await renewFirstToken(db);
  process.stderr.write(
    'This is the only time it is shown: keep it now. A running gateway takes it at once.\n',
  );
  return `${token}\n`;
}

async function create(flags: TenantFlags & { name: string }): Promise<string> {
  const name = checkName(flags.name.trim());
  const document = documentFrom(flags, keySchema);
  warnOfModels(flags);
  const { key, secret } = await change(flags, async (trx) => {
    const made = await createKey(trx, name, document, fileTenants(flags));
    await writeAudit(trx, { ...aboutKey(made.key), action: 'create', after: document });
    return made;
  });
  process.stderr.write(`Key ${key.name} (${key.id}). ${shownOnce}\n`);
  return `${secret}\n`;
}

async function list(flags: DataFlags & { format: Format }): Promise<string> {
  const keys = await withStore(flags, false, (db) => listKeys(db));
  if (keys.length === 0 && flags.format === 'table')
    return `There are no keys. Make one: ${commandName} keys create --name NAME\n`;
  keys.sort((a, b) => a.createdAt - b.createdAt);
  return formatKeys(keys, flags.format, Date.now());
}

async function update(nameOrId: string, flags: TenantFlags): Promise<string> {
  requireChange(flags);
  warnOfModels(flags);
  const { after } = await change(flags, async (trx) => {
    const document = documentFrom(flags, keySchema, (await findKey(trx, nameOrId))?.document);
    const changed = await updateKey(trx, nameOrId, document, fileTenants(flags));
    const { before } = changed;
    await writeAudit(trx, {
      ...aboutKey(before),
      action: 'update',
      before: before.document,
      after: document,
    });
    return changed;
  });
  return `Changed ${after.name} (${after.id}). A running gateway knows it within a second.\n`;
}

async function rotate(nameOrId: string, flags: DataFlags & { grace?: number }): Promise<string> {
  const { after, secret } = await change(flags, async (trx) => {
    const changed = await rotateKey(trx, nameOrId, flags.grace ?? dayMs, fileTenants(flags));
    const previous_until = new Date(changed.after.previousUntil!).toISOString();
    await writeAudit(trx, { ...aboutKey(changed.after), action: 'rotate', after: { previous_until } });
    return changed;
  });
  const until = new Date(after.previousUntil!).toISOString();
  process.stderr.write(
    `Key ${after.name} (${after.id}); its secret before works until ${until}. ${shownOnce}\n`,
  );
  return `${secret}\n`;
}

async function revoke(nameOrId: string, flags: DataFlags): Promise<string> {
  // Made by nobody, a store has nothing to revoke.
  const { after } = await withStore(flags, false, (db) =>
    db.transaction().execute(async (trx) => {
      const changed = await revokeKey(trx, nameOrId, fileTenants(flags));
      await writeAudit(trx, { ...aboutKey(changed.after), action: 'revoke' });
      return changed;
    }),
  );
  return `Revoked ${after.name} (${after.id}). A running gateway refuses it within a second.\n`;
}

function aboutKey({ id, team }: StoredKey) {
  return { actor: cliActor, subject: `key:${id}`, team };
}

function warnOfModels(flags: TenantFlags): void {
  for (const line of unknownModels(flags, flags.models ?? [])) process.stderr.write(`Warning: ${line}\n`);
}

function readGrace(text: string): number {
  const ms = readSpan(text);
  if (ms === undefined) throw new InvalidArgumentError('Give a span of time: 0m, 12h, 7d.');
  if (ms > 366 * dayMs) throw new InvalidArgumentError('It may go on working for a year at most.');
  return ms;
}
