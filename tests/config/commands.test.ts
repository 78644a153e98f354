/** `sluice check` and `sluice schema`, as the command line has them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { addCheckCommand, checkConfig } from '../../src/cli/check.ts';
import { addSchemaCommand, schemaText } from '../../src/cli/schema.ts';
import { readConfig } from '../../src/config/load.ts';
import { catalogue } from '../../src/providers/catalog.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-check-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const file = join(folder, 'sluice.yaml');
  writeFileSync(file, text);
  return file;
}

describe('check', () => {
  test('sums up what is set up, and names targets without a price', () => {
    const file =
      fileWith(`providers: { mock: , acme: { speaks: openai-chat, url: "http://a/v1", keys: [a, b] } }
models: { fast: { fallback: [acme/m, mock/echo] } }
teams: { web: { organisation: shop } }
organisations: { shop: {}, later: {} }
store: "postgres://me:hidden@db:5432/sluice"
shared: "redis://:hidden@cache:6379"
webhooks: [{ url: "https://ops.example.com/hidden", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }]
keys: [{ name: ci, key: k, team: web }]`);
    expect(checkConfig(file, {})).toEqual({
      exitCode: 0,
      text: `${file} is valid.
  listen         127.0.0.1:4000
  store          postgres://db:5432/sluice
  shared         redis://cache:6379
  webhooks       https://ops.example.com
  providers      mock (no key), acme (2 keys)
  models         fast → fallback [acme/m, mock/echo]
  organisations  shop
                 later
  teams          web (organisation shop)
  keys           ci (team web)
  unpriced       acme/m: no price is known; add it under prices:`,
    });
  });

  test('clouds that sign or fetch tokens have what stands for a key', () => {
    const file = fileWith(
      'providers: { bedrock: { region: us-east-1, access_key_id: a, secret_access_key: b }, vertex: { project: p }, azure: { resource: r, keys: [a, b] } }',
    );
    expect(checkConfig(file, {}).text).toInclude('  providers      bedrock, vertex, azure (2 keys)');
  });

  test('prints every mistake and exits with 2', () => {
    const file = fileWith('listn: a\ndrian: b');
    expect(checkConfig(file, {})).toEqual({
      exitCode: 2,
      text: `${file}:1:1  listn: unknown key "listn"; did you mean "listen"?
${file}:2:1  drian: unknown key "drian"; did you mean "drain"?`,
    });
  });

  test('takes the file from --config', async () => {
    const file = fileWith('providers: { mock: }');
    const program = new Command();
    addCheckCommand(program);
    const written: string[] = [];
    const write = process.stdout.write;
    process.stdout.write = ((text: string) => written.push(text) > 0) as typeof write;
    try {
      await program.parseAsync(['check', '--config', file], { from: 'user' });
    } finally {
      process.stdout.write = write;
    }
    expect(written.join('')).toStartWith(`${file} is valid.\n`);
  });
});

describe('schema', () => {
  async function run(...args: string[]): Promise<number> {
    const program = new Command();
    addSchemaCommand(program);
    const write = process.stderr.write;
    process.stderr.write = (() => true) as typeof write;
    try {
      await program.parseAsync(['schema', ...args], { from: 'user' });
      return Number(process.exitCode ?? 0);
    } finally {
      process.stderr.write = write;
      process.exitCode = 0;
    }
  }

  test('the published file is fresh', () => {
    const published = join(import.meta.dir, '../../docs/sluice.schema.json');
    expect(readFileSync(published, 'utf8')).toBe(schemaText());
  });

  test('--write writes it, --check exits with 1 when it is stale or missing', async () => {
    const file = join(folder, 'schema.json');
    expect(await run('--check', file)).toBe(1);
    expect(await run('--write', file)).toBe(0);
    expect(await run('--check', file)).toBe(0);
    writeFileSync(file, '{}\n');
    expect(await run('--check', file)).toBe(1);
  });

  test('it refuses unknown keys and describes members', () => {
    const schema = JSON.parse(schemaText());
    expect(schema.additionalProperties).toBe(false);
    for (const [name, member] of Object.entries<{ description?: string }>(schema.properties)) {
      expect(`${name}: ${member.description ?? ''}`).not.toBe(`${name}: `);
    }
  });
});

test('the manual lists every provider of the catalogue with its variables and dialects', () => {
  const manual = readFileSync(join(import.meta.dir, '../../docs/configuration.md'), 'utf8');
  for (const [name, { env, urlEnv, speaks }] of Object.entries(catalogue)) {
    const variables = [...(urlEnv === undefined ? [] : [urlEnv]), ...env].map(
      (variable) => `\`${variable}\``,
    );
    const cells = [`\`${name}\``, variables.join(', '), Object.keys(speaks).join(', ')];
    expect(manual).toContain(`| ${cells.join(' | ')} |`.replace('|  |', '| |'));
  }
});

test('the manual lists what clouds have to be told, and where it usually is', () => {
  const manual = readFileSync(join(import.meta.dir, '../../docs/configuration.md'), 'utf8');
  for (const [name, { settings }] of Object.entries(catalogue)) {
    for (const [setting, variables] of Object.entries(settings ?? {})) {
      const usual = variables.map((variable) => `\`${variable}\``).join(', ');
      expect(manual).toContain(`| \`${name}\` | \`${setting}\` | ${usual} |`);
    }
  }
});

test('the example of the manual is right', () => {
  const manual = readFileSync(join(import.meta.dir, '../../docs/configuration.md'), 'utf8');
  const example = /```yaml\n(listen[\s\S]*?)```/.exec(manual)?.[1] ?? '';
  const env = { OPENAI_API_KEY: 'a', A1: 'b', A2: 'c', ACME: 'd', CI_KEY: 'e' };
  expect(readConfig(example, env).mistakes).toEqual([]);
});

test('the example of clouds is right, but for a file that is not here', () => {
  const manual = readFileSync(join(import.meta.dir, '../../docs/configuration.md'), 'utf8');
  const example = /```yaml\n(providers:\n {2}azure:[\s\S]*?)```/.exec(manual)?.[1] ?? '';
  const env = {
    AZURE_OPENAI_API_KEY: 'a',
    EAST: 'b',
    BEDROCK_API_KEY: 'c',
    AWS_ACCESS_KEY_ID: 'd',
    AWS_SECRET_ACCESS_KEY: 'e',
  };
  const mistakes = readConfig(example, env).mistakes.map(({ path, message }) => `${path}: ${message}`);
  expect(mistakes).toEqual([
    'providers.vertex.credentials: there is no file /etc/sluice/service-account.json',
  ]);
});
