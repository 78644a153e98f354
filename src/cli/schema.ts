/** `sluice schema`: the JSON Schema of the configuration file, for editors and for those who check files elsewhere. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { toJsonSchema } from '../config/schema.ts';

const publishedFile = 'docs/sluice.schema.json';

export function addSchemaCommand(program: Command): void {
  program
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .option('-w, --write [file]', `write it to a file (default: ${publishedFile})`)
    .option(
      '--check [file]',
      `exit with 1 when the file is not what would be written (default: ${publishedFile})`,
    )
    .action((flags: { write?: string | true; check?: string | true }) => {
      if (flags.check !== undefined) return checkFile(fileOf(flags.check));
      if (flags.write === undefined) process.stdout.write(schemaText());
      else writeFile(fileOf(flags.write));
    });
}

const fileOf = (flag: string | true): string => (flag === true ? publishedFile : flag);

/** The schema as it stands in the file: two spaces, a line break at the end. */
export function schemaText(): string {
  return `${JSON.stringify(toJsonSchema(), null, 2)}\n`;
}

function writeFile(file: string): void {
  try {
    writeFileSync(file, schemaText());
  } catch (error) {
    process.stderr.write(`Cannot write ${file}: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}

function checkFile(file: string): void {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // A file that is not there is stale.
  }
  if (text === schemaText()) return;
  process.stderr.write(`${file} is stale; run: sluice schema --write ${file}\n`);
  process.exitCode = 1;
}
