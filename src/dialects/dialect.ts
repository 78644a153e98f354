/**
 * A dialect is a wire language: how it is read and how it is written. Nothing else lives here: no vendor's URL, no
 * routing, no retry. A new dialect implements this interface, adds a word to index.ts and a folder to fixtures/.
 */
import type { ChatEvent, ChatRequest, ChatResponse, DialectName } from '../core/chat.ts';
import type { GatewayError } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import type { Expressible } from '../core/loss.ts';
import type { Usage } from '../core/usage.ts';
import type { Member } from '../wire/splice.ts';
import type { Quirks } from './quirks.ts';

export interface Dialect {
  readonly name: DialectName;
  readonly can: Expressible;
  /** Path at which the gateway serves clients of this dialect: `/v1/chat/completions`. */
  readonly clientPath: string;
  /** A header that only clients of this dialect send; where a path is shared by dialects, it tells. */
  readonly clientHeader?: string;
  /** Answer header, beside `x-request-id`, in which its SDKs look for the request's id. */
  readonly idHeader?: string;
  /** Path below a provider's base URL that chat calls are posted to: `/chat/completions`. */
  path(model: string, stream: boolean): string;
  /** Headers every call to a provider carries, beside authentication and content type. */
  readonly headers: Readonly<Record<string, string>>;
  /** Request headers of a client of this dialect that a provider of the same dialect is to see. */
  readonly forwardHeaders?: readonly string[];
  /** Top-level request members that hold the output token limit; the largest of those present counts. */
  readonly limitMembers: readonly string[];
  /** Top-level request member that says how many answers are wanted. */
  readonly countMember?: string;

  // Requests
  /** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
  readRequest(body: JsonObject): ChatRequest;
  /**
   * @param lost the writer adds paths of hints it had to leave out or change, beyond what `can` tells.
   * @throws GatewayError `unsupported` for meaning that neither `can` nor the writer can express.
   */
  writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject;
  /**
   * What must change in a request that is relayed as bytes. Undefined when the quirks reach deeper than the top level
   * of this body: then it is rewritten by readRequest and writeRequest.
   */
  planRelay(
    body: Uint8Array,
    members: readonly Member[],
    stream: boolean,
    quirks: Quirks,
  ): RelayPlan | undefined;

  // Whole answers
  /** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds (200 with an error body). */
  readResponse(body: JsonObject, quirks: Quirks): ChatResponse;
  writeResponse(response: ChatResponse): JsonObject;
  /** Top-level members of an answer that are its content: any of them makes a body an answer, and they go unread. */
  readonly contentMembers: readonly string[];
  /** Usage of a whole answer that is relayed, from its top level without `contentMembers`; undefined when it has none. */
  readUsage(body: JsonObject, quirks: Quirks): Usage | undefined;

  // Streams: synchronous push stages, one per answer
  readStream(emit: (event: ChatEvent) => void, quirks: Quirks): StreamReader;
  /** `emit` takes framed text, ready for the wire. */
  writeStream(emit: (text: string) => void, wish: StreamWish): StreamWriter;
  /** Watches a relayed stream. `hideUsage`: the client did not ask for the usage event that the gateway asked for. */
  tap(quirks: Quirks, hideUsage: boolean): Tap;
  /**
   * Once something meaningful has passed, only network chunks that contain one of these strings are split and shown
   * to the tap; the rest pass unread. Must cover usage, finish, errors and the last word.
   */
  readonly tapMarkers: readonly string[];
  /** Framed text that ends a whole stream, appended by the relay where a provider leaves it out; '' for none. */
  readonly terminator: string;

  // Errors
  /** Classifies a provider's refusal. `body` may be anything: another dialect's error, HTML, nothing. */
  readError(status: number, headers: Headers, body: Uint8Array): GatewayError;
  /** Status for the client: `error.status`, unless the dialect has its own word (529). */
  writeError(error: GatewayError, requestId: string): { status: number; body: JsonObject };
  /** The same inside a stream that has begun: framed text. Nothing follows it but what the dialect requires. */
  writeStreamError(error: GatewayError, requestId: string): string;

  // Model lists
  writeModels(ids: readonly string[]): JsonObject;
  writeModel(id: string): JsonObject;
}

/** How a request is relayed as bytes. */
export interface RelayPlan {
  /** Top-level members to set (value: JSON text) or remove (undefined). The caller may add to it. */
  edits: Record<string, string | undefined>;
  /** The edits ask for usage that the client did not ask for. */
  hideUsage: boolean;
  /** Names of the members left out or changed because the target refuses them. */
  lost: string[];
}

/** `push` takes one framed event: the SSE `event:` name ('' when it has none) and its joined `data:` lines. */
export interface StreamReader {
  push(event: string, data: string): void;
  /**
   * The bytes ended. Emits `end` when the answer had come to its finish without the dialect's last word; emits
   * nothing when it was cut, or when `end` or `error` was already emitted.
   */
  end(): void;
}

export interface StreamWriter {
  push(event: ChatEvent): void;
}

/** What the client asked for, as far as the stream's form depends on it. */
export interface StreamWish {
  streamUsage: boolean;
}

/** What a relayed stream has told so far. */
export interface Tap {
  /** @returns false when this event must not reach the client. */
  push(event: string, data: string): boolean;
  readonly usage: Usage | undefined;
  /** Something a client would notice has passed: text, reasoning, a tool call, a finish. */
  readonly meaningful: boolean;
  /** The answer has come to its finish; bytes may end now. */
  readonly complete: boolean;
  /** The dialect's last word has passed (or never comes): usage is as good as it gets. */
  readonly terminated: boolean;
  /** The provider reported a failure inside the stream. */
  readonly error: GatewayError | undefined;
}
