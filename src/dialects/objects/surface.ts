/**
 * How clients of a dialect keep files and batches at a provider: the paths, and what its documents say. Nothing is
 * translated here: whoever serves a surface speaks its dialect.
 */
import type { DialectName } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { ClientDialect } from '../dialect.ts';

export type SurfaceName = 'openai' | 'anthropic' | 'gemini';

export interface Surface {
  readonly name: SurfaceName;
  /** Whose words its errors are in; its header tells where a path is shared. */
  readonly client: ClientDialect;
  /** Providers that speak one of these may serve it, the preferred first. */
  readonly dialects: readonly DialectName[];
  readonly files: Collection;
  readonly batches?: BatchCollection;
  /** Base URL that files are sent to; default: the provider's own. */
  uploadBase?(base: string): string;
}

export interface Collection {
  readonly kind: 'file' | 'batch';
  /** Where clients find it; of several places the first is the usual one. */
  readonly paths: readonly string[];
  /** Where a provider has it, below its base URL. */
  readonly upstream: string;
  readonly removable: boolean;
  /** What may follow an id, beside nothing. */
  readonly parts: Readonly<Record<string, Part>>;
  /** How files are sent; absent: a form, to one of `paths`. */
  readonly upload?: Upload;
  /** What a document says of the object it describes; undefined: it describes none. */
  describe(document: JsonObject): Described | undefined;
  /** Where answers to its making wrap the document in something. */
  unwrap?(body: JsonObject): Json | undefined;
  /** @throws GatewayError `bad_request`. */
  readPage(query: URLSearchParams): PageAsked;
  writePage(documents: readonly JsonObject[], more: boolean): JsonObject;
  /** The document as clients of the gateway at `origin` are to see it. */
  relocate?(document: JsonObject, origin: string): JsonObject;
}

export interface Part {
  method: 'GET' | 'POST';
  /** The document again, or bytes. */
  answer: 'document' | 'bytes';
  /** What stands between id and part; default: a slash. */
  mark?: string;
}

/** Files that are sent in a place of their own, in several requests. */
export interface Upload {
  readonly paths: readonly string[];
  /** Header of an answer with the URL that the next request goes to, and the parameter in it that names the upload. */
  readonly nextHeader: string;
  readonly idParameter: string;
  /** Headers of requests and answers that begin so are passed on. */
  readonly headers: string;
}

export interface BatchCollection extends Collection {
  readonly kind: 'batch';
  /** The member of a body that names the file with its requests, or lists them. */
  readonly input: { file: string } | { items: string };
  /** Where the request itself stands, in a line of the file or in an item of the list. */
  readonly requestMember: string;
  /** Where the results of a batch that has ended are, below the provider's base URL; undefined: there are none. */
  resultsOf(document: JsonObject): string | undefined;
  /** What all of it used together, where the document says that. */
  usedBy(document: JsonObject): Used | undefined;
  /** What one of its requests used, by a line of the results. */
  usedIn(line: JsonObject): Used | undefined;
}

export interface Used {
  model: string;
  usage: Usage;
}

export interface Described {
  id: string;
  /** It will say nothing else. */
  final: boolean;
  /** Milliseconds since 1970. */
  expiresAt?: number | undefined;
  /** Ids of files that came with it. */
  files?: readonly string[];
}

export interface PageAsked {
  limit: number;
  after?: string | undefined;
  before?: string | undefined;
  ascending?: boolean;
  /** Whether an object belongs to what was asked for. */
  wants?(document: JsonObject): boolean;
}

/** @throws GatewayError `bad_request`. */
export function readLimit(query: URLSearchParams, name: string, usual: number, most: number): number {
  const text = query.get(name);
  if (text === null || text === '') return usual;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit;
  throw new GatewayError('bad_request', `"${name}" must be a whole number from 1 to ${most}.`, {
    param: name,
  });
}

/** What a query says under `name`; undefined for nothing. */
export function readText(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) || undefined;
}

/** The id in a document of type `type`, which stands in the member `member`. */
export function idOf(document: JsonObject, member: string, type: string): string | undefined {
  const { id } = document;
  return document[member] === type && typeof id === 'string' && id !== '' ? id : undefined;
}

/** RFC 3339, or nothing, as milliseconds since 1970. */
export function readDate(value: Json | undefined): number | undefined {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

export function objectIn(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}
