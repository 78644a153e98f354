/** What is wrong with a configuration, said so that it can be put right: place, mistake, what to write instead. */
import { z } from 'zod';
import { plannedStrategies, strategies } from './route-schema.ts';
import { configSchema } from './schema.ts';

export type Path = readonly (string | number)[];

export interface Mistake {
  /** From 1; 1:1 when the mistake has no place in the file. */
  line: number;
  column: number;
  /** `models.smart.fallback[1]`; '' for the file as a whole. */
  path: string;
  message: string;
  /** What to write instead; '' when the message says it. */
  hint: string;
}

/** A mistake before its place in the file is known. `onKey`: the member's name is wrong, not its value. */
export interface Finding {
  path: Path;
  message: string;
  hint?: string;
  onKey?: boolean;
}

/** One line each: `sluice.yaml:12:5  models.smart.fallback[1]: no provider "antropic"; did you mean "anthropic"?` */
export function formatMistakes(file: string, mistakes: readonly Mistake[]): string {
  return mistakes
    .map(({ line, column, path, message, hint }) => {
      const where = path === '' ? '' : `${path}: `;
      return `${file}:${line}:${column}  ${where}${message}${hint === '' ? '' : `; ${hint}`}`;
    })
    .join('\n');
}

export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** `did you mean "x"?`, or a list of what is there, or ''. */
function suggest(given: string, known: Iterable<string>): string {
  const names = [...known];
  let best = '';
  let bestDistance = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  if (best !== '') return `did you mean "${best}"?`;
  return names.length === 0 || names.length > 12 ? '' : `known here: ${names.join(', ')}`;
}

/** The nearest name, else what to do. Lists of names are left out: they can be long. */
export function nearestOr(given: string, known: Iterable<string>, otherwise: string): string {
  const hint = suggest(given, known);
  return hint.startsWith('did you mean') ? hint : otherwise;
}

/** How many letters have to be added, removed, changed or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const above = rows[i - 1]!;
      let least = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      }
      row.push(least);
    }
  }
  return rows[a.length]![b.length]!;
}

/**
 * zod's issues with `raw` in our words.
 * @param root the schema that found them, from which suggestions are taken.
 */
export function readIssues(
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  root: Schema = configSchema,
): Finding[] {
  const unknown = new Set(
    issues.flatMap((i) => (i.code === 'unrecognized_keys' ? [formatPath(pathOf(i))] : [])),
  );
  return issues.flatMap((issue): Finding[] => {
    const path = pathOf(issue);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => readUnknownKey(path, key, root));
    // The whole is judged without the member that was not understood: one mistake is enough.
    if (issue.code === 'custom' && unknown.has(formatPath(path))) return [];
    if (issue.code === 'invalid_key')
      return [{ path, onKey: true, message: issue.issues[0]?.message ?? issue.message }];
    if (isMissing(raw, path)) return [{ path, message: 'is missing', hint: describe(path, root) }];
    if (issue.code === 'invalid_union') return readUnion(issue, path, raw, root);
    if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input'))
      return [readType(issue, path, root)];
    if (issue.code === 'invalid_value' && issue.message.startsWith('Invalid'))
      return [{ path, message: `must be one of ${issue.values.join(', ')}` }];
    return [{ path, message: sayBound(issue) ?? issue.message }];
  });
}

const units: Record<string, string> = { string: ' characters', array: ' entries' };

/** Where the schema has no words of its own. */
function sayBound(issue: z.core.$ZodIssue): string | undefined {
  if (issue.code !== 'too_small' && issue.code !== 'too_big') return undefined;
  if (!issue.message.startsWith('Too ')) return undefined;
  const [word, bound] = issue.code === 'too_small' ? ['least', issue.minimum] : ['most', issue.maximum];
  const unit = units[issue.origin] ?? '';
  if (unit !== '' && bound === 1) return 'must not be empty';
  return unit === '' ? `must be at ${word} ${bound}` : `must have at ${word} ${bound}${unit}`;
}

/** What stands where a list or a map is expected has no members that could be missing. */
function isMissing(raw: unknown, path: Path): boolean {
  const parent = valueAt(raw, path.slice(0, -1));
  return valueAt(raw, path) === undefined && (path.length === 0 || typeof parent === 'object');
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[step] : undefined),
    value,
  );
}

const pathOf = (issue: z.core.$ZodIssue): Path =>
  issue.path.map((step) => (typeof step === 'number' ? step : String(step)));

function readUnknownKey(path: Path, key: string, root: Schema): Finding {
  const at = { path: [...path, key], onKey: true };
  if (root === configSchema && path[0] === 'models' && plannedStrategies.includes(key)) {
    return {
      ...at,
      message: `the strategy "${key}" is not available yet`,
      hint: `write one of ${strategies.join(', ')}`,
    };
  }
  return { ...at, message: `unknown key "${key}"`, hint: suggest(key, membersAt(path, root)) };
}

/** Of the alternatives, the one whose kind fits says what is wrong inside it; else the union speaks for itself. */
function readUnion(
  issue: z.core.$ZodIssue & { code: 'invalid_union' },
  path: Path,
  raw: unknown,
  root: Schema,
): Finding[] {
  const fits = issue.errors.find((branch) =>
    branch.every((i) => i.code !== 'invalid_type' || i.path.length > 0),
  );
  if (fits !== undefined) {
    return readIssues(
      fits.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
      raw,
      root,
    );
  }
  if (issue.message !== 'Invalid input') return [{ path, message: issue.message }];
  return [{ path, message: 'is of the wrong kind', hint: describe(path, root) }];
}

const kinds: Record<string, string> = { object: 'a map', record: 'a map', array: 'a list' };

function readType(issue: z.core.$ZodIssue & { code: 'invalid_type' }, path: Path, root: Schema): Finding {
  return { path, message: `must be ${kinds[issue.expected] ?? issue.expected}`, hint: describe(path, root) };
}

type Schema = z.core.$ZodType;

/** The schema of the member at `path`, looking through defaults, lazies and alternatives. */
function schemaAt(path: Path, root: Schema): Schema | undefined {
  let schema: Schema | undefined = root;
  for (const step of path) {
    let inner: Schema | undefined;
    for (const candidate of alternatives(schema)) {
      if (candidate instanceof z.ZodObject) inner ??= candidate.shape[String(step)] as Schema | undefined;
      else if (candidate instanceof z.ZodRecord) inner ??= candidate.valueType;
      else if (candidate instanceof z.ZodArray) inner ??= candidate.element;
    }
    schema = inner;
    if (schema === undefined) return undefined;
  }
  return schema;
}

function alternatives(schema: Schema): Schema[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(alternatives);
  if (schema instanceof z.ZodPipe) return alternatives(schema.in);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodLazy
  ) {
    return alternatives(schema.unwrap() as Schema);
  }
  return [schema];
}

function membersAt(path: Path, root: Schema): string[] {
  const schema = schemaAt(path, root);
  if (schema === undefined) return [];
  return alternatives(schema).flatMap((candidate) => {
    if (candidate instanceof z.ZodObject) return Object.keys(candidate.shape);
    if (candidate instanceof z.ZodRecord && candidate.keyType instanceof z.ZodEnum) {
      return candidate.keyType.options.map(String);
    }
    return [];
  });
}

/** What the member is for, from its description, as a hint. */
function describe(path: Path, root: Schema): string {
  const schema = schemaAt(path, root);
  const description = schema === undefined ? undefined : z.globalRegistry.get(schema)?.description;
  return description === undefined ? '' : `it is: ${description.replace(/\.$/, '')}`;
}

/** The same in one line each, for whoever sent a document alone: `limits.0.usd` and what is wrong there. */
export function sayIssues(
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  root: Schema,
): { path: string; message: string }[] {
  return readIssues(issues, raw, root).map(({ path, message, hint = '' }) => ({
    path: path.join('.'),
    // Where keys are what applications call with, members have to be called so.
    message: `${message.replace(/^unknown key/, 'unknown member')}${hint === '' ? '' : `; ${hint}`}`,
  }));
}
