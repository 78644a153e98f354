import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { catalogue } from '../src/providers/catalog.ts';

/** What each folder may import, beside itself, and why nothing else. */
const mayImport: Record<string, { from: string[]; because: string }> = {
  core: { from: [], because: 'core is the vocabulary: it depends on nothing' },
  wire: { from: [], because: 'wire is about bytes: it knows neither chats nor providers' },
  mock: {
    from: ['core', 'wire'],
    because: 'a mistake in a dialect must not hide itself in the provider it is tested against',
  },
  dialects: { from: ['core', 'wire'], because: 'a dialect is a language: it knows no provider and no route' },
  providers: { from: ['core', 'wire', 'dialects'], because: 'providers are data' },
  config: {
    from: ['core', 'wire', 'dialects', 'providers'],
    because: 'a snapshot is compiled from config and providers',
  },
  routing: { from: ['core', 'config'], because: 'routes choose among targets; they do not call them' },
  governance: { from: ['core', 'config'], because: 'keys and limits know nothing of how calls are made' },
  gateway: {
    from: ['core', 'wire', 'dialects', 'config', 'routing', 'governance'],
    because: 'the data plane never waits for a store or an administrator: app.ts hands it what it needs',
  },
  ledger: {
    from: ['core', 'store'],
    because: 'the ledger brings records into the store and knows no gateway',
  },
  store: { from: ['core'], because: 'the store knows rows' },
  shared: { from: ['core'], because: 'what nodes tell each other is plain data: app.ts hands it on' },
  admin: {
    from: ['core', 'config', 'store'],
    because: 'the control plane stands above the store; what lives in the running gateway, app.ts hands it',
  },
  app: {
    from: [
      'core',
      'wire',
      'config',
      'routing',
      'gateway',
      'governance',
      'ledger',
      'store',
      'mock',
      'observe',
      'shared',
    ],
    because: 'the parts that app.ts is put together from know neither its server nor those who administer it',
  },
  observe: { from: ['core'], because: 'observers are told; they do not ask' },
  cli: {
    from: ['core', 'config', 'providers', 'ledger', 'store', 'mock', 'observe', 'app.ts'],
    because: 'commands use what there is, but the data plane only through app.ts',
  },
};

const files = [...new Bun.Glob('src/**/*.ts').scanSync()].map((path) => ({
  path,
  text: readFileSync(path, 'utf8'),
}));

/** `src/core/chat.ts` → `core`; `src/app.ts` → `app.ts`. */
const folderOf = (path: string) => path.split('/')[1]!;

function importsOf({ path, text }: { path: string; text: string }): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) =>
    normalize(join(dirname(path), match[1]!)),
  );
}

describe('imports go one way', () => {
  test.each(files.filter(({ path }) => folderOf(path) in mayImport))('$path', (file) => {
    const rule = mayImport[folderOf(file.path)]!;
    for (const imported of importsOf(file)) {
      if (!imported.startsWith('src/')) continue;
      const folder = folderOf(imported);
      const fine = folder === folderOf(file.path) || rule.from.includes(folder);
      expect(fine ? 'fine' : `${file.path} imports ${imported}, but ${rule.because}`).toBe('fine');
    }
  });

  test('only app.ts, main.ts and the folders above exist', () => {
    const known = new Set([...Object.keys(mayImport), 'app.ts', 'main.ts']);
    expect(
      [...new Set(files.map((file) => folderOf(file.path)))].filter((folder) => !known.has(folder)),
    ).toEqual([]);
  });
});

describe('files stay readable', () => {
  test.each(files)('$path is not too long and opens by saying what it is for', ({ path, text }) => {
    expect(text.split('\n').length).toBeLessThanOrEqual(path.startsWith('src/dialects/') ? 800 : 600);
    expect(text.trimStart().startsWith('/**')).toBe(true);
  });

  test.each(files)('$path has no default export', ({ text }) => {
    expect(/^export default/m.test(text)).toBe(false);
  });
});

describe('vendors are data', () => {
  /** Names that are also words. */
  const words = new Set(['mock', 'together']);
  const vendors = Object.keys(catalogue).filter((name) => !words.has(name));
  const plane = /^src\/(wire|routing|governance|gateway|ledger|store|shared|observe)\//;

  test.each(files.filter(({ path }) => plane.test(path)))('$path names none', ({ text }) => {
    const code = text.replace(/'(openai-chat|openai-responses|anthropic-messages|ollama)'/g, '');
    const named = vendors.filter((vendor) => new RegExp(`\\b${vendor}\\b`, 'i').test(withoutComments(code)));
    expect(named).toEqual([]);
  });
});

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
}
