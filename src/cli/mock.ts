/** `sluice mock`: the mock provider as a server of its own. */
import type { Command } from 'commander';
import { leadWords } from '../mock/behaviour.ts';
import { type MockServer, startMock } from '../mock/serve.ts';
import { readPort } from './port.ts';

interface Flags {
  port: number;
  host: string;
  recordings?: string;
  key?: string;
}

export function addMockCommand(program: Command): void {
  program
    .command('mock')
    .description('start a mock provider that answers, and misbehaves, as its model names ask (docs/mock.md)')
    .option('--port <n>', 'port to listen on, 0 for a free one', readPort, 4010)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--recordings <dir>', 'folder with recorded exchanges for replay:FILE')
    .option('--key <secret>', "key that callers must send in their vendor's header; any or none by default")
    .addHelpText(
      'after',
      `\nModels: ${leadWords.join(', ')}\nOptions follow a colon: echo:delay=20ms,chunks=50`,
    )
    .action(runMock);
}

async function runMock(flags: Flags): Promise<void> {
  let server: MockServer;
  try {
    server = await startMock(flags);
  } catch (thrown) {
    const code = (thrown as { code?: string }).code;
    const why = code === 'EADDRINUSE' ? 'the port is taken; choose another with --port' : String(thrown);
    process.stderr.write(`sluice mock cannot listen on ${flags.host}:${flags.port}: ${why}\n`);
    process.exitCode = 1;
    return;
  }
  const models = server.mock.models.join(' ');
  process.stdout.write(`sluice mock on ${server.url} (docs/mock.md lists its paths); models: ${models}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop());
}
