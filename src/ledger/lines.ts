/**
 * The lines of the journal: how an attempt is written down and read back.
 *
 * Each line is one JSON array, so that nothing but values is written on the call's path. What many attempts have in
 * common stands once in a segment, under a number that counts up from 0; the lines after it name the number.
 *
 *     ["v", version, source, price, 0]
 *     ["n", number, key, team, organisation, model, target, provider, tags, priceSource, (operation, why, priceVersion), 0]
 *     ["p", call, at, plan, 0]
 *     ["d", call, attempt, names, stream, session, endUser, at, reservedNanoUsd, (reservedSellNanoUsd)]
 *     ["s", call, attempt, names, stream, session, endUser, at, final, outcome, upstreamStatus, clientStatus,
 *      firstByteMs|null, durationMs, estimated, nanoUsd|null, [lost...], input, cacheRead, cacheWrite5m, cacheWrite1h,
 *      output, reasoning, audioInput, audioOutput,
 *      (image, millisecond, character, search, imageInput, imageOutput, billedInput, billedOutput,
 *       (cacheReadAudio, cacheReadImage, webSearches, tier, imageKind, sellNanoUsd))]
 *
 * Flags are 0 or 1. Members are only ever added at the end, and the last one is a number; a reader takes what is missing as zero. Those
 * in parentheses stand where they say something: an operation that is not chat, the way through a route, what is not told in tokens (-1: none),
 * what the organisation is charged where that is not what it cost (-1: the same). A price (its rates as JSON in a string) stands in a segment before the names that have it. A plan
 * is JSON in a string, of calls only whose route chose. A settled line repeats what its dispatch says of the call: whoever applies it needs no other line but its names.
 */
import { type Price, writePrice } from '../core/money.ts';
import type { Dispatched, Names, Outcome, Planned, PriceRecord, Settled } from '../core/record.ts';
import { countedUnits, type Units, type Usage } from '../core/usage.ts';
import type { Attempt } from '../store/attempts.ts';

/** The names of a segment's attempts, by their numbers. */
export type NamesList = (Names | undefined)[];

/** @returns the line with its newline, as all of these. */
export function writeNames(number: number, n: Names): string {
  const values = [n.key, n.team, n.organisation, n.model, n.target, n.provider, n.tags, n.priceSource];
  const more = [n.operation, n.why, n.priceVersion];
  while (more.length > 0 && more.at(-1) === undefined) more.pop();
  for (const value of more) values.push(value ?? '');
  // A line is known to be whole by the number it ends in.
  return `${JSON.stringify(['n', number, ...values, 0])}\n`;
}

/** @returns the line with its newline. */
export function writePriceLine(price: Price): string {
  return `${JSON.stringify(['v', price.version, price.source, writePrice(price), 0])}\n`;
}

export function writePlanned(p: Planned): string {
  return `["p","${p.call}",${p.at},${JSON.stringify(p.text)},0]\n`;
}

export function writeDispatched(d: Dispatched, names: number): string {
  const sell = d.reservedSellNanoUsd === undefined ? '' : `,${d.reservedSellNanoUsd}`;
  return `["d","${beginning(d, names)},${d.at},${d.reservedNanoUsd}${sell}]\n`;
}

export function writeSettled(d: Dispatched, s: Settled, names: number): string {
  const u = s.usage;
  return (
    `["s","${beginning(d, names)},${s.at},${s.final ? 1 : 0},"${s.outcome}",${s.upstreamStatus},${s.clientStatus},` +
    `${s.firstByteMs === undefined ? 'null' : Math.round(s.firstByteMs)},${Math.round(s.durationMs)},` +
    `${s.estimated ? 1 : 0},${s.nanoUsd ?? null},${s.lost.length === 0 ? '[]' : JSON.stringify(s.lost)},${u.input},` +
    `${u.cacheRead},${u.cacheWrite5m},${u.cacheWrite1h},${u.output},${u.reasoning},${u.audioInput},${u.audioOutput}` +
    `${moreOf(u, s.sellNanoUsd)}]\n`
  );
}

/** What few attempts have. */
function moreOf(u: Usage, sellNanoUsd: number | undefined): string {
  const last = lastOf(u, sellNanoUsd);
  if (u.units === undefined && u.billed === undefined && !u.imageInput && !u.imageOutput && last === '')
    return '';
  const { units = {}, imageInput = 0, imageOutput = 0, billed } = u;
  const { image = 0, millisecond = 0, character = 0, search = 0 } = units;
  const { input = -1, output = -1 } = billed ?? {};
  return ['', image, millisecond, character, search, imageInput, imageOutput, input, output].join(',') + last;
}

function lastOf(u: Usage, sellNanoUsd: number | undefined): string {
  const { cacheReadAudio = 0, cacheReadImage = 0, webSearches = 0, tier = '' } = u;
  const kind = u.units?.imageKind ?? '';
  const none = cacheReadAudio + cacheReadImage + webSearches === 0 && tier === '' && kind === '';
  if (none && sellNanoUsd === undefined) return '';
  return `,${cacheReadAudio},${cacheReadImage},${webSearches},${quote(tier)},${quote(kind)},${sellNanoUsd ?? -1}`;
}

/** What lines of both kinds go on with. A call's id is of the gateway's own making: nothing in it needs escaping. */
function beginning(d: Dispatched, names: number): string {
  return `${d.call}",${d.attempt},${names},${d.stream ? 1 : 0},${quote(d.session)},${quote(d.endUser)}`;
}

function quote(text: string): string {
  return text === '' ? '""' : JSON.stringify(text);
}

/** What a line turned out to be; undefined: empty, torn or foreign. */
export type Entry =
  | { kind: 'n' }
  | { kind: 'p'; plan: Planned }
  | { kind: 'v'; price: PriceRecord }
  | Begun
  | { kind: 's'; id: string; attempt: Attempt }
  | undefined;

/** A dispatched line, not read further yet: most are followed by a settled one that says more. */
export interface Begun {
  kind: 'd';
  /** The attempt's identity. */
  id: string;
  values: unknown[];
  names: Names;
}

/**
 * Every line of a text, in order; names are added to `names`. It is parsed in one go, which costs half of parsing line
 * by line; where something in it is torn, each line is looked at by itself.
 */
export function readEntries(text: string, names: NamesList): Entry[] {
  if (text === '') return [];
  const all = parseAll(text);
  return all === undefined
    ? text.split('\n').map((line) => entryOf(parse(line), names))
    : all.map((values) => entryOf(values, names));
}

function parseAll(text: string): unknown[] | undefined {
  if (text.includes('\\u0000')) return undefined;
  try {
    return JSON.parse(`[${text.replaceAll('\n', ',')}]`) as unknown[];
  } catch {
    return undefined;
  }
}

/** A whole line ends in its last number; a settled line torn right after its list of losses ends in `"]` or `[]`. */
function parse(line: string): unknown {
  if (!line.endsWith(']') || line.endsWith('"]') || line.endsWith('[]')) return undefined;
  try {
    return JSON.parse(line, line.includes('\\u0000') ? withoutNul : undefined);
  } catch {
    return undefined;
  }
}

function entryOf(values: unknown, names: NamesList): Entry {
  if (!Array.isArray(values)) return undefined;
  if (values[0] === 'n') {
    names[whole(values[1])] = namesOf(values);
    return { kind: 'n' };
  }
  if (typeof values[1] !== 'string') return undefined;
  if (values[0] === 'p')
    return { kind: 'p', plan: { call: values[1], at: whole(values[2]), text: text(values[3]) } };
  if (values[0] === 'v')
    return { kind: 'v', price: { version: values[1], source: text(values[2]), json: text(values[3]) } };
  const id = `${values[1]} ${values[2]}`;
  // Names that were damaged cost nobody the charge.
  const named = names[whole(values[3])] ?? unknownNames;
  if (values[0] === 'd') return { kind: 'd', id, values, names: named };
  return values[0] === 's' ? { kind: 's', id, attempt: attemptOf(values, named) } : undefined;
}

const unknownNames: Names = Object.freeze({
  key: '',
  team: '',
  organisation: '',
  model: '',
  target: '',
  provider: '',
  tags: '',
  priceSource: '',
});

export function readDispatched({ values, names }: Begun): Dispatched {
  return dispatchOf(values, names);
}

function namesOf(values: unknown[]): Names {
  return {
    key: text(values[2]),
    team: text(values[3]),
    organisation: text(values[4]),
    model: text(values[5]),
    target: text(values[6]),
    provider: text(values[7]),
    tags: text(values[8]),
    priceSource: text(values[9]),
    ...(typeof values[10] === 'string' && values[10] !== '' && { operation: values[10] }),
    ...(typeof values[11] === 'string' && values[11] !== '' && { why: values[11] }),
    ...(typeof values[12] === 'string' && { priceVersion: values[12] }),
  };
}

function dispatchOf(values: unknown[], names: Names): Dispatched {
  return {
    call: text(values[1]),
    attempt: whole(values[2]),
    names,
    stream: values[4] === 1,
    session: text(values[5]),
    endUser: text(values[6]),
    at: whole(values[7]),
    reservedNanoUsd: values[0] === 'd' ? whole(values[8]) : 0,
    ...(values[0] === 'd' && values.length > 9 && { reservedSellNanoUsd: whole(values[9]) }),
  };
}

function attemptOf(values: unknown[], names: Names): Attempt {
  const dispatch = dispatchOf(values, names);
  return {
    dispatch,
    settled: {
      call: dispatch.call,
      attempt: dispatch.attempt,
      at: dispatch.at,
      final: values[8] === 1,
      outcome: text(values[9]) as Outcome,
      upstreamStatus: whole(values[10]),
      clientStatus: whole(values[11]),
      firstByteMs: typeof values[12] === 'number' ? whole(values[12]) : undefined,
      durationMs: whole(values[13]),
      estimated: values[14] === 1,
      nanoUsd: typeof values[15] === 'number' ? whole(values[15]) : undefined,
      ...(typeof values[38] === 'number' && values[38] >= 0 && { sellNanoUsd: whole(values[38]) }),
      lost: Array.isArray(values[16]) ? values[16].map(text) : [],
      usage: {
        input: whole(values[17]),
        cacheRead: whole(values[18]),
        cacheWrite5m: whole(values[19]),
        cacheWrite1h: whole(values[20]),
        output: whole(values[21]),
        reasoning: whole(values[22]),
        audioInput: whole(values[23]),
        audioOutput: whole(values[24]),
        ...(values.length > 25 && readMore(values)),
      },
    },
  };
}

/** Where counts that few attempts have stand in their lines. */
const rareAt = [
  ['imageInput', 29],
  ['imageOutput', 30],
  ['cacheReadAudio', 33],
  ['cacheReadImage', 34],
  ['webSearches', 35],
] as const;

function readMore(values: unknown[]): Partial<Usage> {
  const more: Partial<Usage> = {};
  const units: Units = {};
  countedUnits.forEach((unit, i) => {
    const amount = whole(values[25 + i]);
    if (amount > 0) units[unit] = amount;
  });
  if (text(values[37]) !== '') units.imageKind = text(values[37]);
  if (Object.keys(units).length > 0) more.units = units;
  rareAt.forEach(([name, at]) => {
    if (whole(values[at]) > 0) more[name] = whole(values[at]);
  });
  if (text(values[36]) !== '') more.tier = text(values[36]);
  const [input, output] = [values[31] ?? -1, values[32] ?? -1].map(whole);
  if (input! >= 0 && output! >= 0) more.billed = { input: input!, output: output! };
  return more;
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
