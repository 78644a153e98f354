/** Reads the configuration: the file with its variables filled in, or the environment alone; every mistake at once. */
import { readFileSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { isObject } from '../core/json.ts';
import { completeProvider, type Env, providersFrom } from './complete.ts';
import { type Finding, formatPath, type Mistake, type Path, readIssues } from './mistakes.ts';
import { type Config, configSchema, type ProviderConfig } from './schema.ts';
import { verify, verifyTargets } from './verify.ts';

export type { Env };

/** Either a configuration that can be compiled, or what is wrong with it. */
export type Loaded = { config: Config; mistakes: [] } | { config: undefined; mistakes: Mistake[] };

/** Reads a file; one that cannot be read is a mistake too. */
export function loadConfig(file: string, env: Env): Loaded {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const message = code === 'ENOENT' ? 'there is no such file' : `the file cannot be read (${code})`;
    return wrong([{ line: 1, column: 1, path: '', message, hint: 'give its path with --config' }]);
  }
  return readConfig(text, env);
}

/** Reads the text of a file. */
export function readConfig(text: string, env: Env): Loaded {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    return wrong(
      document.errors.map((error) => {
        const place = at(error.pos[0]);
        return {
          ...place,
          path: '',
          message: error.message,
          hint: syntaxHint(text.split('\n')[place.line - 1] ?? ''),
        };
      }),
    );
  }
  const root = document.contents;
  if (root !== null && !isMap(root) && !(isScalar(root) && root.value === null)) {
    return wrong([
      { line: 1, column: 1, path: '', message: 'must be a map', hint: 'write listen: 127.0.0.1:4000' },
    ]);
  }
  const findings = substitute(root, [], env);
  const spoiled = new Set(findings.map(({ path }) => formatPath(path)));
  let raw: Record<string, unknown>;
  try {
    raw = withoutEmptySections(document.toJS({ maxAliasCount: 100 }));
  } catch (error) {
    return wrong([
      { line: 1, column: 1, path: '', message: (error as Error).message, hint: 'use fewer YAML aliases' },
    ]);
  }
  const parsed = configSchema.safeParse(raw);
  const named = isObject(raw.providers) ? raw.providers : providersFrom(env);
  const draft = { sections: raw, env, providerNames: new Set(Object.keys(named)) };
  for (const finding of [...(parsed.success ? [] : readIssues(parsed.error.issues, raw)), ...verify(draft)]) {
    if (!spoiled.has(formatPath(finding.path))) findings.push(finding);
  }
  if (parsed.success && findings.length === 0) {
    const given = parsed.data.providers;
    const providers = given === undefined ? providersFrom(env) : completeAll(given, env);
    const config = { ...parsed.data, providers };
    findings.push(...verifyTargets(config));
    if (findings.length === 0) return { config, mistakes: [] };
  }
  return wrong(
    findings.map(({ path, message, hint, onKey }) => ({
      ...at(offsetOf(root, path, onKey ?? false)),
      path: formatPath(path),
      message,
      hint: hint ?? '',
    })),
  );
}

function wrong(mistakes: Mistake[]): Loaded {
  return { config: undefined, mistakes: mistakes.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/**
 * The configuration when there is no file: every catalogue provider whose usual variables are set is on, and so is
 * `mock`. An empty variable is one that is not set.
 */
export function configFromEnvironment(env: Env): Config {
  return { ...configSchema.parse({}), providers: providersFrom(env) };
}

function completeAll(providers: Record<string, ProviderConfig>, env: Env): Record<string, ProviderConfig> {
  return Object.fromEntries(
    Object.entries(providers).map(([name, provider]) => [name, completeProvider(name, provider, env)]),
  );
}

/**
 * One member at the top of a file, its variables replaced, whatever else is wrong there: for who needs no more of it.
 * Undefined where it is not there.
 * @throws Error when it cannot be read by itself.
 */
export function readMember(file: string, name: string, env: Env): string | undefined {
  const node = parseDocument(readFileSync(file, 'utf8')).get(name, true);
  if (node === undefined || !isScalar(node) || node.value === null) return undefined;
  const [finding] = substitute(node, [name], env);
  if (finding !== undefined || typeof node.value !== 'string') throw new Error(`${name} cannot be read`);
  return node.value;
}

/** Replaces `${NAME}` and `${NAME:-default}` in scalar values; `$${` stands for `${`. Reports variables that are not set. */
function substitute(node: unknown, path: Path, env: Env): Finding[] {
  if (isMap(node))
    return node.items.flatMap((pair) => substitute(pair.value, [...path, keyOf(pair.key)], env));
  if (isSeq(node)) return node.items.flatMap((item, i) => substitute(item, [...path, i], env));
  if (!isScalar(node) || typeof node.value !== 'string' || !node.value.includes('${')) return [];
  const findings: Finding[] = [];
  node.value = node.value.replace(/\$\$\{|\$\{([^}]*)\}?/g, (whole, inner: string | undefined) => {
    if (inner === undefined) return '${';
    const [, name, fallback] = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inner) ?? [];
    if (name === undefined || !whole.endsWith('}')) {
      findings.push({
        path,
        message: `"${whole}" is no variable`,
        hint: 'write ${NAME} or ${NAME:-default}',
      });
      return whole;
    }
    const value = env[name];
    // As in a shell, `:-` also stands in for a variable that is empty.
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value !== undefined) return value;
    findings.push({
      path,
      message: `the variable ${name} is not set`,
      hint: `set it, or write \${${name}:-default}`,
    });
    return whole;
  });
  return findings;
}

/** In a flow map YAML takes the brace of an unquoted `${NAME}` for a map of its own. */
function syntaxHint(line: string): string {
  return /[^"']\$\{\w+/.test(line)
    ? 'put quotes around variables: "${NAME}"'
    : 'see whether a quote, colon or indent is missing';
}

/** A section or provider without anything under it is an empty one. */
function withoutEmptySections(root: unknown): Record<string, unknown> {
  const raw: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(isObject(root) ? root : {}))
    if (value !== null) raw[name] = value;
  if (isObject(raw.providers)) {
    raw.providers = Object.fromEntries(
      Object.entries(raw.providers).map(([name, value]) => [name, value ?? {}]),
    );
  }
  return raw;
}

/** Where a member stands in the text; of one that is missing, where the map begins that should have it. */
function offsetOf(root: Node | null, path: Path, onKey: boolean): number {
  let node: unknown = root;
  let offset = 0;
  for (const [depth, step] of path.entries()) {
    const pair = isMap(node) ? node.items.find(({ key }) => keyOf(key) === String(step)) : undefined;
    const key = pair?.key;
    const child: unknown = isSeq(node) ? node.items[Number(step)] : pair?.value;
    if (child === undefined && key === undefined) return offset;
    const wanted = (onKey && depth === path.length - 1) || !hasRange(child) ? (key ?? child) : child;
    if (hasRange(wanted)) offset = wanted.range[0];
    node = child;
  }
  return offset;
}

const keyOf = (key: unknown): string => String(isScalar(key) ? key.value : key);

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}
