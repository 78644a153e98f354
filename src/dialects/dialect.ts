/**
 * A dialect is a wire language: how it is read and how it is written. Nothing else lives here: no vendor's URL, no
 * routing, no retry. A new dialect implements this interface, adds a word to index.ts and a folder to fixtures/.
 */
import type {
  ChatEvent,
  ChatRequest,
  ChatResponse,
  ClientDialectName,
  DialectName,
  Message,
} from '../core/chat.ts';
import type { GatewayError } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import type { Expressible } from '../core/loss.ts';
import type { ModelCard } from '../core/model-card.ts';
import type { Usage } from '../core/usage.ts';
import type { Framing } from '../wire/framing.ts';
import type { Member } from '../wire/splice.ts';
import type { Quirks } from './quirks.ts';

/** What every dialect does: a provider that speaks it can be called. */
export interface Dialect {
  readonly name: DialectName;
  readonly can: Expressible;
  /** How a provider frames a stream of it. */
  readonly framing: Framing;
  /** Path below a provider's base URL that chat calls are posted to: `/chat/completions`. */
  path(model: string, stream: boolean): string;
  /** Headers every call to a provider carries, beside authentication and content type. */
  readonly headers: Readonly<Record<string, string>>;
  /** Request headers of a client of this dialect that a provider of the same dialect is to see. */
  readonly forwardHeaders?: readonly string[];
  /** Where providers hold realtime sessions (see realtime.ts); absent: providers of this dialect hold none. */
  readonly realtime?: RealtimeAt;

  /** @throws GatewayError `bad_request` whose `param` names the member that is wrong. */
  readRequest(body: JsonObject): ChatRequest;
  /**
   * @param lost the writer adds paths of hints it had to leave out or change, beyond what `can` tells.
   * @throws GatewayError `unsupported` for meaning that neither `can` nor the writer can express.
   */
  writeRequest(request: ChatRequest, quirks: Quirks, lost: string[]): JsonObject;
  /** @throws GatewayError `upstream_invalid` when it is no answer, or the error it holds (200 with an error body). */
  readResponse(body: JsonObject, quirks: Quirks): ChatResponse;
  /** A synchronous push stage, one per answer. */
  readStream(emit: (event: ChatEvent) => void, quirks: Quirks): StreamReader;
  /** Classifies a provider's refusal. `body` may be anything: another dialect's error, HTML, nothing. */
  readError(status: number, headers: Headers, body: Uint8Array): GatewayError;
}

export interface RealtimeAt {
  /** Below the base URL. */
  path: string;
  /** Query parameter that names the model. */
  model: string;
}

/** A dialect that clients speak too: its answers can be written, and passed on as bytes. Its streams are framed as `sse`. */
export interface ClientDialect extends Dialect {
  readonly name: ClientDialectName;
  /** The path this dialect is known by, for the page that says what is served: `/v1/chat/completions`. */
  readonly clientPath: string;
  /** What a client asks for by this path; undefined when the path is none of this dialect's. */
  match(path: string, query: string): Asked | undefined;
  /** Where its clients list models, beside `/v1/models`, which dialects share. */
  readonly modelsPaths?: readonly string[];
  /** A header that only clients of this dialect send; where a path is shared by dialects, it tells. */
  readonly clientHeader?: string;
  /** Answer header, beside `x-request-id`, in which its SDKs look for the request's id. */
  readonly idHeader?: string;
  /** Top-level request member that holds the conversation. */
  readonly turns: TurnsMember;
  /** Request members that hold the output token limit; the largest of those present counts. A dot leads one level down. */
  readonly limitMembers: readonly string[];
  /** Request member that says how many answers are wanted, likewise; or several, of which the largest counts. */
  readonly countMember?: string | readonly string[];

  // Requests
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
  writeResponse(response: ChatResponse, wish?: AnswerWish): JsonObject;
  /** Top-level members of an answer that are its content: any of them makes a body an answer, and they go unread. */
  readonly contentMembers: readonly string[];
  /** Text in an answer's content that `readUsage` has to read it for: there, and only there, something is counted. */
  readonly countedContent?: string;
  /**
   * Usage of a whole answer that is relayed, from its top level without `contentMembers`, unless something is counted there; undefined when it has none.
   * @throws GatewayError when it is an answer that failed.
   */
  readUsage(body: JsonObject, quirks: Quirks): Usage | undefined;

  // Streams
  /** `emit` takes framed text, ready for the wire. */
  writeStream(emit: (text: string) => void, wish: AnswerWish): StreamWriter;
  /** Watches a relayed stream. `hideUsage`: the client did not ask for the usage event that the gateway asked for. */
  tap(quirks: Quirks, hideUsage: boolean): Tap;
  /**
   * Once something meaningful has passed, only network chunks that contain one of these strings are split and shown
   * to the tap; the rest pass unread. Must cover usage, finish, errors and the last word.
   */
  readonly tapMarkers: readonly string[];
  /** Its streams tell a tool call only when it is whole. */
  readonly wholeCalls?: boolean;
  /** Framed text that ends a whole stream, appended by the relay where a provider leaves it out; '' for none. */
  readonly terminator: string;

  // Errors
  /** Status for the client: `error.status`, unless the dialect has its own word (529). */
  writeError(error: GatewayError, requestId: string): { status: number; body: JsonObject };
  /** The same inside a stream that has begun: framed text. Nothing follows it but what the dialect requires. */
  writeStreamError(error: GatewayError, requestId: string): string;

  // Counting tokens before they are sent, where clients can ask for it
  readonly counting?: Counting;

  // Answers that clients go on from by id, where the dialect has them
  readonly keeping?: Keeping;
  /** Clients hand other vendors' state back (core/carry.ts), so that nobody has to remember it. */
  readonly carriesState?: boolean;

  // Model lists
  writeModel(card: ModelCard): JsonObject;
  /** @param entries as `writeModel` wrote them. */
  writeModels(entries: readonly JsonObject[]): JsonObject;
}

export function isClientDialect(dialect: Dialect): dialect is ClientDialect {
  return 'clientPath' in dialect;
}

/** What the path of a request says, before its body is read. */
export interface Asked {
  operation: 'chat' | 'count_tokens';
  /** Where the path names them; otherwise the body does. */
  model?: string;
  stream?: boolean;
  /** The stream is wanted as one JSON array, not as events (Gemini without `alt=sse`). */
  array?: boolean;
}

export interface TurnsMember {
  name: string;
  /** It may be a text instead of an array. */
  orText?: boolean;
  /** It may be missing. */
  optional?: boolean;
  /** A list of texts (or of lists) in it asks for an answer to each. */
  several?: boolean;
}

/** How many tokens a request has: asked of a provider of the same dialect, counted by the gateway for others. */
export interface Counting {
  /** Path below a provider's base URL. */
  path(model: string): string;
  /** The chat request in the body of a counting request. */
  requestOf(body: JsonObject): JsonObject;
  write(tokens: number): JsonObject;
}

/** How clients go on from an answer by its id. */
export interface Keeping {
  /** Request member that names the answer to go on from. */
  readonly member: string;
  /** Below this path answers are looked up and deleted by id. */
  readonly path: string;
  /** What follows an id where what was asked is wanted, not what was answered. */
  readonly inputs: string;
  /** A text that every request with references to parts of kept answers holds. */
  readonly mark: string;
  /** Ids of the answers such references may lead to. */
  referredTo(request: JsonObject): string[];
  /** The request with the parts themselves, of those answers that were found. */
  resolve(request: JsonObject, answers: ReadonlyMap<string, JsonObject>): JsonObject;
  /** What was said in a kept exchange, as a later request has to repeat it: without its instructions. */
  turns(request: JsonObject, response: JsonObject): Message[];
  writeInputs(request: JsonObject, id: string): JsonObject;
  writeDeleted(id: string): JsonObject;
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

/** `push` takes one frame: the SSE `event:` name ('' when it has none) and its joined `data:` lines, or what stands for them. */
export interface StreamReader {
  push(event: string, data: string): void;
  /**
   * The bytes ended. Emits `end` when the answer had come to its finish without the dialect's last word; emits
   * nothing when it was cut, or when `end` or `error` was already emitted.
   */
  end(): void;
  /** Something has begun to come that no event has told of yet. */
  readonly pending?: boolean;
}

export interface StreamWriter {
  push(event: ChatEvent): void;
  /** An error as text, where that depends on what was written before; otherwise writeStreamError writes it. */
  writeError?(error: GatewayError, requestId: string): string;
  /**
   * A remark of the gateway's, where clients of the dialect do not take one as a comment. Only between the answer's first
   * word and its last.
   */
  remark?(name: string, value: string): void;
  /** What is written from now on follows `passed`, the frames of an answer of this dialect that were not written here. */
  follow?(passed: string): void;
}

/** What the client asked for, as far as the form of its answer depends on it. */
export interface AnswerWish {
  /** Usage at the end of a stream is wanted. */
  streamUsage: boolean;
  /** The stream is wanted as one JSON array. */
  array?: boolean;
  /** The request, for dialects whose answers repeat it (Responses); read it only when needed. */
  request?: () => ChatRequest;
  /** The id the answer is to have instead of the provider's, because the gateway keeps it under that id. */
  id?: string;
  /** Told the whole answer as it was written, also at the end of a stream, when it is to be kept. */
  kept?: (answer: JsonObject) => void;
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
