/** The grammar of the mock's model names: `[MAKER~]LEAD[:VALUE][,OPTION=VALUE…]` says how the mock behaves. */
import { type ErrorKind, errorKinds } from './errors.ts';

type Say = 'echo' | 'tool' | 'json' | 'refuse' | 'length' | 'empty' | 'html' | 'replay';
const faults = ['cut', 'stall', 'reset', 'malformed', 'error-event'] as const;
type Fault = (typeof faults)[number];

/** What one model name means. Every option goes with every lead word. */
export interface Behaviour {
  say: Say;
  /** Before the headers. */
  beforeMs?: number;
  /** Between the headers and the first byte. */
  firstMs?: number;
  /** Between two writes. */
  delayMs?: number;
  chunks?: number;
  chunkLength?: number;
  tokens?: number;
  bytes?: number;
  calls?: number;
  /** Bytes per write, or one write per event. */
  split?: number | 'event';
  /** Usage to report; `input` includes `cached` and `written`, `output` includes `reasoning`. */
  input?: number;
  cached?: number;
  written?: number;
  output?: number;
  reasoning?: number;
  usage?: 'none';
  status?: number;
  retryAfterS?: number;
  error?: ErrorKind;
  /** Share of calls that fail. */
  flaky?: number;
  fault?: Fault;
  /** Events that pass before the fault. */
  after?: number;
  /** Reasons before it speaks or calls. */
  thinks?: boolean;
  redacted?: boolean;
  member?: string;
  file?: string;
}

type Read = (text: string) => string | number | boolean | undefined;

const whole: Read = (text) => (/^\d{1,10}$/.test(text) ? Number(text) : undefined);
const share: Read = (text) => (/^(0|1|0?\.\d+|1\.0+)$/.test(text) ? Number(text) : undefined);
const word: Read = (text) => (/^[\w-]+$/.test(text) ? text : undefined);
const yes: Read = (text) => (text === 'true' ? true : undefined);
const status: Read = (text) => (/^[2-5]\d\d$/.test(text) ? Number(text) : undefined);
const oneOf =
  (...words: readonly string[]): Read =>
  (text) =>
    words.includes(text) ? text : undefined;
const unitsMs: Record<string, number> = { '': 1, ms: 1, s: 1000, m: 60_000 };
const duration: Read = (text) => {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|)$/.exec(text);
  return found === null ? undefined : Number(found[1]) * (unitsMs[found[2] ?? ''] ?? 1);
};

/** Option → the member of Behaviour it sets and how its text is read (undefined: wrong). */
const options: Record<string, readonly [keyof Behaviour, Read]> = {
  after: ['after', whole],
  before: ['beforeMs', duration],
  bytes: ['bytes', whole],
  cached: ['cached', whole],
  calls: ['calls', whole],
  chunk_size: ['chunkLength', whole],
  chunks: ['chunks', whole],
  delay: ['delayMs', duration],
  error: ['error', oneOf(...errorKinds)],
  fault: ['fault', oneOf(...faults)],
  file: ['file', (text) => text],
  first: ['firstMs', duration],
  flaky: ['flaky', share],
  input: ['input', whole],
  member: ['member', word],
  output: ['output', whole],
  reasoning: ['reasoning', whole],
  redacted: ['redacted', yes],
  retry_after: ['retryAfterS', whole],
  split: ['split', (text) => (text === 'event' ? text : whole(text) || undefined)],
  status: ['status', status],
  think: ['thinks', yes],
  tokens: ['tokens', whole],
  usage: ['usage', oneOf('none')],
  written: ['written', whole],
};

/** A lead word: what it presets, and which option a bare value after it sets. */
interface Lead extends Partial<Behaviour> {
  bare?: string;
}

const leads: Record<string, Lead> = {
  echo: {},
  'echo-slow': { delayMs: 50 },
  tool: { say: 'tool', bare: 'calls' },
  reason: { thinks: true },
  json: { say: 'json' },
  refuse: { say: 'refuse' },
  length: { say: 'length' },
  empty: { say: 'empty' },
  big: { bytes: 1_000_000, bare: 'bytes' },
  usage: {},
  'no-usage': { usage: 'none' },
  status: { status: 503, bare: 'status' },
  error: { error: 'overloaded', bare: 'error' },
  html: { say: 'html', status: 502, bare: 'status' },
  flaky: { flaky: 0.5, bare: 'flaky' },
  delay: { beforeMs: 1000, bare: 'before' },
  first: { firstMs: 1000, bare: 'first' },
  cut: { fault: 'cut', bare: 'after' },
  stall: { fault: 'stall', bare: 'after' },
  reset: { fault: 'reset', bare: 'after' },
  malformed: { fault: 'malformed', bare: 'after' },
  'error-event': { fault: 'error-event', bare: 'after' },
  replay: { say: 'replay', bare: 'file' },
};

export const leadWords: readonly string[] = Object.keys(leads);
/** `as=NAME` has no effect: it tells two models of one behaviour apart. */
export const optionNames: readonly string[] = ['as', ...Object.keys(options)];

/** What one answer may weigh: the mock also runs inside a gateway that others use. */
const most = {
  chunks: 100_000,
  calls: 128,
  bytes: 32_000_000,
  tokens: 8_000_000,
  chunkLength: 100_000,
} as const;

/** What a model name asks for, or, as text, why it asks for nothing the mock knows. */
export function parseBehaviour(named: string): Behaviour | string {
  const model = named.replace(/^[\w.-]+~/, '');
  const at = model.search(/[:?]/);
  const name = at < 0 ? model : model.slice(0, at);
  if (!Object.hasOwn(leads, name)) return `it must begin with one of: ${leadWords.join(', ')}`;
  const { bare, ...preset } = leads[name] as Lead;
  const behaviour: Behaviour = { say: 'echo', ...preset };
  if (at >= 0) {
    for (const item of model.slice(at + 1).split(/[,&?]/)) {
      const wrong = applyItem(behaviour, item, bare);
      if (wrong !== undefined) return wrong;
    }
  }
  for (const [member, limit] of Object.entries(most) as [keyof typeof most, number][]) {
    if ((behaviour[member] ?? 0) > limit) return `${member} is at most ${limit}`;
  }
  if ((behaviour.chunks ?? 0) * (behaviour.chunkLength ?? 0) > most.bytes)
    return `a text has at most ${most.bytes} bytes`;
  if (behaviour.say === 'replay' && behaviour.file === undefined) return 'replay needs a file: replay:FILE';
  return behaviour;
}

function applyItem(behaviour: Behaviour, item: string, bare: string | undefined): string | undefined {
  const equals = item.indexOf('=');
  const name = equals < 0 ? bare : item.slice(0, equals);
  const text = equals < 0 ? item : item.slice(equals + 1);
  if (name === 'as') return undefined;
  if (name === undefined || !Object.hasOwn(options, name)) {
    return `"${item}" is no option; known: ${optionNames.join(', ')}`;
  }
  const [member, read] = options[name] as readonly [keyof Behaviour, Read];
  const value = read(text);
  if (value === undefined) return `"${text}" is no value for ${name}`;
  Object.assign(behaviour, { [member]: value });
  return undefined;
}
