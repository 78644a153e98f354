/** The command line. */
import { Command } from 'commander';
import { addCheckCommand } from './cli/check.ts';
import { completeEnvironment } from './cli/environment.ts';
import { addExplainCommand } from './cli/explain.ts';
import { addKeysCommand } from './cli/keys.ts';
import { addMockCommand } from './cli/mock.ts';
import { addPricesCommand } from './cli/prices.ts';
import { addRepriceCommand } from './cli/reprice.ts';
import { addSchemaCommand } from './cli/schema.ts';
import { addServeCommand } from './cli/serve.ts';
import { addTenantsCommands } from './cli/tenants.ts';
import { addUsageCommand } from './cli/usage.ts';
import { version } from './cli/version.ts';
import { addWebhooksCommand } from './cli/webhooks.ts';

completeEnvironment();

const program = new Command('sluice')
  .description('AI gateway: every provider behind the API your application already speaks')
  .version(version, '-v, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand('help [command]', 'print help for a command')
  .showHelpAfterError('(sluice --help lists what there is)')
  .configureHelp({ sortSubcommands: false });

addServeCommand(program);
addCheckCommand(program);
addExplainCommand(program);
addKeysCommand(program);
addTenantsCommands(program);
addUsageCommand(program);
addPricesCommand(program);
addRepriceCommand(program);
addMockCommand(program);
addWebhooksCommand(program);
addSchemaCommand(program);

await program.parseAsync();
