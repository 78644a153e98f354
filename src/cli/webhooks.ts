/** `sluice webhooks test`: posts a test event to every webhook of the configuration. */
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { formatMistakes } from '../config/mistakes.ts';
import { newCallId } from '../core/id.ts';
import { defaultConfigFile, findConfigFile } from './config-file.ts';

export function addWebhooksCommand(program: Command): void {
  const webhooks = program.command('webhooks').description('webhooks that are told of events');
  webhooks
    .command('test')
    .description('post a test event to every webhook and say what came of it')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigFile} where there is one)`)
    .action(async (flags: { config?: string }, command: Command) => {
      const file = findConfigFile(flags.config);
      if (file === undefined) command.error('error: there is no configuration file, and so no webhook');
      const { config, mistakes } = loadConfig(file, process.env);
      if (config === undefined) {
        process.stderr.write(`${formatMistakes(file, mistakes)}\n`);
        process.exitCode = 2;
        return;
      }
      if (config.webhooks.length === 0) command.error(`error: ${file} has no webhooks`);
      const { sendWebhook } = await import('../ledger/send-webhook.ts');
      const timestamp = new Date().toISOString();
      const body = JSON.stringify({ type: 'test', timestamp, data: {} });
      for (const [i, { url, secret }] of config.webhooks.entries()) {
        // The path may be a secret.
        const whom = `webhooks[${i}], ${new URL(url).origin}`;
        try {
          await sendWebhook({ url, secret }, { id: `msg_test_${newCallId()}`, body });
          process.stdout.write(`${whom}: delivered\n`);
        } catch (error) {
          process.stderr.write(`${whom}: ${(error as Error).message}\n`);
          process.exitCode = 1;
        }
      }
    });
}
