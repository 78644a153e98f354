/**
 * The lines of the journal: how an attempt is written down and read back.
 *
 * Each line is one JSON array, so that nothing but values is written on the call's path. Members are only ever added
 * at the end, numbers only; a reader takes what is missing as zero. The kind, the call and the attempt come first:
 *
 *     ["d", call, attempt, at, key, team, organisation, model, target, provider, tags, stream, session, endUser,
 *      reservedNanoUsd]
 *     ["s", call, attempt, …the same up to reservedNanoUsd…, at, final, outcome, upstreamStatus, clientStatus,
 *      firstByteMs|null, durationMs, estimated, nanoUsd|null, priceSource, [lost…], input, cacheRead, cacheWrite5m,
 *      cacheWrite1h, output, reasoning, audioInput, audioOutput]
 *
 * A settled line repeats its dispatch: whoever applies it needs no other line.
 */
import type { Dispatched, Outcome, Settled } from '../core/record.ts';
import type { Attempt } from '../store/attempts.ts';

/** @returns the line with its newline. */
export function writeDispatched(d: Dispatched): string {
  return `${JSON.stringify(beginning('d', d))}\n`;
}

/** @returns the line with its newline. */
export function writeSettled(d: Dispatched, s: Settled): string {
  const usage = s.usage;
  const values = beginning('s', d);
  values.push(
    s.at,
    s.final,
    s.outcome,
    s.upstreamStatus,
    s.clientStatus,
    s.firstByteMs,
    s.durationMs,
    s.estimated,
    s.nanoUsd,
    s.priceSource,
    s.lost,
    usage.input,
    usage.cacheRead,
    usage.cacheWrite5m,
    usage.cacheWrite1h,
    usage.output,
    usage.reasoning,
    usage.audioInput,
    usage.audioOutput,
  );
  return `${JSON.stringify(values)}\n`;
}

/** What lines of both kinds begin with. */
function beginning(kind: 'd' | 's', d: Dispatched): unknown[] {
  return [
    kind,
    d.call,
    d.attempt,
    d.at,
    d.key,
    d.team,
    d.organisation,
    d.model,
    d.target,
    d.provider,
    d.tags,
    d.stream,
    d.session,
    d.endUser,
    d.reservedNanoUsd,
  ];
}

/**
 * What can be told without parsing: 'd', 's', or undefined for an empty, torn or foreign line. A whole line ends in
 * its last number; a settled line torn right after its list of losses ends in `"]` or `[]`.
 */
export function kindOf(line: string): 'd' | 's' | undefined {
  if (!line.endsWith(']') || line.endsWith('"]') || line.endsWith('[]')) return undefined;
  if (line.startsWith('["s","')) return 's';
  return line.startsWith('["d","') ? 'd' : undefined;
}

/** `"call",attempt` as it stands in a line of either kind: the attempt's identity without parsing. */
export function identityOf(line: string): string {
  const afterCall = line.indexOf(',', 5);
  const afterAttempt = line.indexOf(',', afterCall + 1);
  return line.slice(5, afterAttempt);
}

/** Undefined when the line is torn or not a dispatched line. */
export function readDispatched(line: string): Dispatched | undefined {
  const values = parse(line, 'd');
  return values === undefined ? undefined : dispatchOf(values);
}

/** Undefined when the line is torn or not a settled line. */
export function readSettled(line: string): Attempt | undefined {
  const values = parse(line, 's');
  return values === undefined ? undefined : attemptOf(values);
}

/** What a line that was taken from the journal turned out to be; undefined: empty, torn or foreign. */
export type Entry = { kind: 'd'; id: string } | { kind: 's'; id: string; attempt: Attempt } | undefined;

/**
 * Every line of a text. It is parsed in one go, which costs half of parsing line by line; where something in it is
 * torn, each line is looked at by itself.
 */
export function readEntries(text: string): Entry[] {
  if (text === '') return [];
  const all = parseAll(text);
  return all === undefined ? text.split('\n').map(readEntry) : all.map(entryOf);
}

function parseAll(text: string): unknown[] | undefined {
  if (text.includes('\\u0000')) return undefined;
  try {
    return JSON.parse(`[${text.replaceAll('\n', ',')}]`) as unknown[];
  } catch {
    return undefined;
  }
}

function entryOf(values: unknown): Entry {
  if (!Array.isArray(values) || typeof values[1] !== 'string') return undefined;
  const id = `"${values[1]}",${values[2]}`;
  if (values[0] === 'd') return { kind: 'd', id };
  return values[0] === 's' ? { kind: 's', id, attempt: attemptOf(values) } : undefined;
}

function readEntry(line: string): Entry {
  const kind = kindOf(line);
  if (kind === 'd') return { kind, id: identityOf(line) };
  const attempt = kind === 's' ? readSettled(line) : undefined;
  return attempt === undefined ? undefined : { kind: 's', id: identityOf(line), attempt };
}

function attemptOf(values: unknown[]): Attempt {
  const dispatch = dispatchOf(values);
  return {
    dispatch,
    settled: {
      call: dispatch.call,
      attempt: dispatch.attempt,
      at: whole(values[15]),
      final: values[16] === true,
      outcome: text(values[17]) as Outcome,
      upstreamStatus: whole(values[18]),
      clientStatus: whole(values[19]),
      firstByteMs: typeof values[20] === 'number' ? whole(values[20]) : undefined,
      durationMs: whole(values[21]),
      estimated: values[22] === true,
      nanoUsd: typeof values[23] === 'number' ? whole(values[23]) : undefined,
      priceSource: text(values[24]),
      lost: Array.isArray(values[25]) ? values[25].map(text) : [],
      usage: {
        input: whole(values[26]),
        cacheRead: whole(values[27]),
        cacheWrite5m: whole(values[28]),
        cacheWrite1h: whole(values[29]),
        output: whole(values[30]),
        reasoning: whole(values[31]),
        audioInput: whole(values[32]),
        audioOutput: whole(values[33]),
      },
    },
  };
}

function dispatchOf(values: unknown[]): Dispatched {
  return {
    call: text(values[1]),
    attempt: whole(values[2]),
    at: whole(values[3]),
    key: text(values[4]),
    team: text(values[5]),
    organisation: text(values[6]),
    model: text(values[7]),
    target: text(values[8]),
    provider: text(values[9]),
    tags: text(values[10]),
    stream: values[11] === true,
    session: text(values[12]),
    endUser: text(values[13]),
    reservedNanoUsd: whole(values[14]),
  };
}

function parse(line: string, kind: 'd' | 's'): unknown[] | undefined {
  if (kindOf(line) !== kind) return undefined;
  try {
    const values: unknown = JSON.parse(line, line.includes('\\u0000') ? withoutNul : undefined);
    return Array.isArray(values) ? values : undefined;
  } catch {
    return undefined;
  }
}

/** The store takes whole numbers only; a value that is none must not stop all lines behind it. */
function whole(value: unknown): number {
  return typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER ? Math.round(value) : 0;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** PostgreSQL's text cannot hold U+0000, which a client may send in a tag or as a model's name. */
function withoutNul(_member: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('\0', '') : value;
}
