/** `sluice teams` and `sluice organisations`: made, listed, changed, removed beside those of the configuration file. */
import { type Command, Option } from 'commander';
import { organisationSchema, teamSchema } from '../config/tenant-schema.ts';
import { cliActor, writeAudit } from '../store/audit.ts';
import {
  createTenant,
  findTenant,
  listTenantsOf,
  removeTenant,
  type TenantKind,
  updateTenant,
} from '../store/tenants.ts';
import { commandName } from './command-name.ts';
import { addDataOptions, type DataFlags, runCommand } from './data-dir.ts';
import { fileTenants } from './file-tenants.ts';
import { type Format, formatTenants } from './format-tenants.ts';
import { change, withStore } from './open-store.ts';
import {
  addTenantOptions,
  checkName,
  documentFrom,
  requireChange,
  type TenantFlags,
} from './tenant-flags.ts';

const kinds = {
  teams: { word: 'team', schema: teamSchema },
  organisations: { word: 'organisation', schema: organisationSchema },
} as const;

export function addTenantsCommands(program: Command): void {
  for (const kind of ['teams', 'organisations'] as const) addCommands(program, kind);
}

function addCommands(program: Command, kind: TenantKind): void {
  const { word } = kinds[kind];
  const commands = program.command(kind).description(`make, list, change and remove ${kind}`);
  const withOwn = (command: Command, changes: boolean) => {
    if (kind === 'teams') command.option('--organisation <name>', 'organisation it belongs to');
    return addTenantOptions(command, changes);
  };

  withOwn(commands.command('create').description(`make one`).argument('<name>', `the ${word}`), false).action(
    (name: string, flags: TenantFlags) => runCommand(() => create(kind, name, flags)),
  );
  addDataOptions(
    commands
      .command('list')
      .description('list those of the store')
      .addOption(
        new Option('--format <format>', 'how to print them').choices(['table', 'json']).default('table'),
      ),
  ).action((flags: DataFlags & { format: Format }) => runCommand(() => list(kind, flags)));
  withOwn(
    commands
      .command('update')
      .description('change what is said of one; all else stays')
      .argument('<name>', `the ${word}`),
    true,
  ).action((name: string, flags: TenantFlags) => runCommand(() => update(kind, name, flags)));
  addDataOptions(
    commands.command('remove').description('remove one that is empty').argument('<name>', `the ${word}`),
  ).action((name: string, flags: DataFlags) => runCommand(() => remove(kind, name, flags)));
}

async function create(kind: TenantKind, given: string, flags: TenantFlags): Promise<string> {
  const name = checkName(given);
  const document = documentFrom(flags, kinds[kind].schema);
  await change(flags, async (trx) => {
    await createTenant(trx, kind, name, document, fileTenants(flags));
    await writeAudit(trx, { ...about(kind, name), action: 'create', after: document });
  });
  return `Made the ${kinds[kind].word} ${name}. A running gateway knows it within a second.\n`;
}

async function list(kind: TenantKind, flags: DataFlags & { format: Format }): Promise<string> {
  const tenants = await withStore(flags, false, (db) => listTenantsOf(db, kind));
  if (tenants.length === 0 && flags.format === 'table')
    return `There are no ${kind} beside those of the configuration file. Make one: ${commandName} ${kind} create NAME\n`;
  return formatTenants(tenants, flags.format);
}

async function update(kind: TenantKind, name: string, flags: TenantFlags): Promise<string> {
  requireChange(flags);
  await change(flags, async (trx) => {
    const before = (await findTenant(trx, kind, name))?.document;
    const document = documentFrom(flags, kinds[kind].schema, before);
    await updateTenant(trx, kind, name, document, fileTenants(flags));
    await writeAudit(trx, { ...about(kind, name), action: 'update', before, after: document });
  });
  return `Changed the ${kinds[kind].word} ${name}. A running gateway knows it within a second.\n`;
}

async function remove(kind: TenantKind, name: string, flags: DataFlags): Promise<string> {
  await change(flags, async (trx) => {
    const { document } = await removeTenant(trx, kind, name, fileTenants(flags));
    await writeAudit(trx, { ...about(kind, name), action: 'delete', before: document });
  });
  return `Removed the ${kinds[kind].word} ${name}.\n`;
}

function about(kind: TenantKind, name: string) {
  const { word } = kinds[kind];
  return { actor: cliActor, subject: `${word}:${name}`, [word]: name };
}
