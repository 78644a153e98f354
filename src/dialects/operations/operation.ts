/**
 * An operation beside chat: one shape for clients, and how providers are asked for it in each dialect. Where a provider
 * speaks the clients' own shape nothing is understood but what money needs; bytes are passed on.
 */
import type { DialectName } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import { count, emptyUsage, type Usage } from '../../core/usage.ts';
import type { Quirks } from '../quirks.ts';

/** A request, however its body travels. */
export interface Ask {
  /** As the client names it. */
  readonly model: string;
  readonly stream: boolean;
  /** Members of the JSON body; or the form's fields, which are texts: those named `x[]` are a list under `x`. */
  readonly members: JsonObject;
  /** The form's files. */
  readonly files: readonly FormFile[];
}

export interface FormFile {
  name: string;
  bytes: Uint8Array;
}

export interface Operation {
  /** `embeddings`: what usage is told by. */
  readonly name: string;
  readonly clientPath: string;
  /** Whether a form with files is taken, too, or nothing else. */
  readonly form: 'never' | 'also' | 'only';
  /** How a model is asked for it in a dialect; undefined: not at all. */
  spoken(dialect: DialectName, model: string, quirks: Quirks): Spoken | undefined;
  /** What the model reads as text. */
  text(ask: Ask): string;
  /**
   * What the call may use, for limits and for answers that do not say.
   * @param textTokens those of `text`.
   */
  estimate(ask: Ask, textTokens: number): Usage;
  /** What an answer, or the last event of a stream, tells of its usage; the request tells the rest. Undefined: nothing. */
  usage(answer: JsonObject, ask: Ask): Usage | undefined;
  /** Top-level members of which one makes a body an answer. */
  readonly contentMembers: readonly string[];
  /** They are large, and go unread where an answer is passed on as it is. */
  readonly bulky?: boolean;
  /** Writes usage into an answer in the clients' shape that came without. */
  writeUsage?(answer: JsonObject, usage: Usage): void;
}

export interface Spoken {
  /** Below a provider's base URL, in the place of the path of a chat call. */
  path(model: string): string;
  /** Absent: the clients' own shape. */
  translation?: Translation;
}

export interface Translation {
  /**
   * Bodies of as many requests as the host needs, in order.
   * @param lost gets the names of hints that go unsaid.
   * @throws GatewayError `unsupported` for what cannot be said, `bad_request` for what nobody would understand.
   */
  write(ask: Ask, model: string, lost: string[]): JsonObject[];
  /** One answer in the clients' shape. @throws GatewayError `upstream_invalid`. */
  read(answers: readonly Answered[], ask: Ask, model: string): JsonObject;
}

/** An answer of a provider. */
export interface Answered {
  body: JsonObject;
  header(name: string): string | null;
}

const openaiDialects: ReadonlySet<DialectName> = new Set([
  'openai-chat',
  'openai-responses',
  'openai-completions',
]);

/** Hosts of OpenAI's dialects serve its other operations below the same base URL. */
export function spokenByOpenai(dialect: DialectName, path: string): Spoken | undefined {
  return openaiDialects.has(dialect) ? { path: () => path } : undefined;
}

/** @throws GatewayError `unsupported`. */
export function unsupported(param: string, why: string): GatewayError {
  return new GatewayError('unsupported', `"${param}" ${why}`, { param });
}

export function wrong(param: string, what: string): GatewayError {
  return new GatewayError('bad_request', `"${param}" ${what}.`, { param });
}

export function invalidAnswer(why: string): GatewayError {
  return new GatewayError('upstream_invalid', `The provider's answer cannot be used: ${why}.`);
}

/** Names what is in the request and in none of `said`. */
export function nameUnsaid({ members }: Ask, said: readonly string[], lost: string[]): void {
  for (const name in members) {
    const value = members[name];
    if (value !== undefined && value !== null && !said.includes(name)) lost.push(name);
  }
}

/** A member as a whole number above 0, also where a form has it as text; undefined where it is nothing. */
export function readCount({ members }: Ask, name: string): number | undefined {
  const value = members[name];
  if (value === undefined || value === null || value === '') return undefined;
  const number = Number(value);
  if (Number.isInteger(number) && number > 0 && number <= maxCount) return number;
  throw wrong(name, `must be a whole number from 1 to ${maxCount}`);
}

const maxCount = 1_000_000;

/** A member that is a text, else ''. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** `{input_tokens, output_tokens}` or `{prompt_tokens, total_tokens}`; undefined where neither is there. */
export function readTokens(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  const { input_tokens, prompt_tokens, output_tokens, completion_tokens, total_tokens } = value;
  const input = input_tokens ?? prompt_tokens ?? total_tokens;
  if (typeof input !== 'number') return undefined;
  const usage = emptyUsage();
  usage.input = count(input);
  usage.output = count(output_tokens ?? completion_tokens);
  return usage;
}
