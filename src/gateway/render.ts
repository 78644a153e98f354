/** Turns a client's request into the one a target is sent: edited on its bytes, or translated through the hub. */
import type { Endpoint, Target } from '../config/snapshot.ts';
import type { ChatRequest } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import { foreign, namePaths, requireMeaning } from '../core/loss.ts';
import type { AnswerWish, ClientDialect } from '../dialects/dialect.ts';
import { splice } from '../wire/splice.ts';
import type { Peek } from './body.ts';

export interface Outbound {
  target: Target;
  endpoint: Endpoint;
  /** Below the endpoint's base URL. */
  path: string;
  url: string;
  body: Uint8Array | string;
  /** The answer is passed on as bytes, because client and target speak the same dialect. */
  relay: boolean;
  /** The gateway asked for usage that the client did not ask for. */
  hideUsage: boolean;
  lost: string[];
}

/** One client request, parsed at most once however many targets it is rendered for. */
export class Inbound {
  private parsed: ChatRequest | undefined;

  constructor(
    readonly peek: Peek,
    readonly dialect: ClientDialect,
    private readonly forceTranslate: boolean,
  ) {}

  /** The request in the hub's words. @throws GatewayError `bad_request`. */
  chat(): ChatRequest {
    if (this.parsed === undefined) {
      const { body, model, modelInPath, stream } = this.peek;
      this.parsed = this.dialect.readRequest(parseObject(body));
      // Where the path says both, the body does not.
      if (modelInPath) Object.assign(this.parsed, { model, stream });
    }
    return this.parsed;
  }

  /** What the form of the answer depends on. */
  get wish(): AnswerWish {
    return {
      streamUsage: this.peek.stream && (this.chat().streamUsage ?? false),
      array: this.peek.array,
      request: () => this.chat(),
    };
  }

  /** @throws GatewayError `bad_request`, or `unsupported` when this target cannot say what was asked. */
  render(target: Target): Outbound {
    const same = target.endpoints.find(({ dialect }) => dialect === this.dialect);
    return same !== undefined && this.mayRelay(same)
      ? this.relay(target, same)
      : this.translate(target, same ?? target.endpoints[0]);
  }

  /** A stream whose bytes the client's SDK would not understand goes through the hub. */
  private mayRelay({ framing }: Endpoint): boolean {
    const { stream, array } = this.peek;
    return !this.forceTranslate && (!stream || (framing === 'sse' && !array));
  }

  private relay(target: Target, endpoint: Endpoint): Outbound {
    const { body, members, stream, model } = this.peek;
    const plan = this.dialect.planRelay(body, members, stream, target.quirks);
    if (plan === undefined) {
      const lost: string[] = [];
      const rewritten = this.rewrite(target, endpoint, lost);
      return this.outbound(target, endpoint, rewritten, true, !this.chat().streamUsage, lost);
    }
    const edits = plan.edits;
    if (model !== target.model && !this.peek.modelInPath) edits.model = target.modelJson;
    if (endpoint.edits !== undefined) Object.assign(edits, endpoint.edits);
    const rendered = hasAny(edits) ? splice(body, members, edits) : body;
    return this.outbound(target, endpoint, rendered, true, plan.hideUsage, plan.lost);
  }

  private translate(target: Target, endpoint: Endpoint | undefined): Outbound {
    if (endpoint === undefined) throw new GatewayError('internal', `Target ${target.id} speaks no dialect.`);
    const request = this.chat();
    const { name, can } = endpoint.dialect;
    const source = this.dialect.can;
    const hints = requireMeaning(foreign(request, name, can, source), name);
    const unsaid: string[] = [];
    const rendered = this.rewrite(target, endpoint, unsaid);
    const lost =
      unsaid.length === 0 ? hints : [...new Set([...hints, ...namePaths(unsaid, request, source)])];
    return this.outbound(target, endpoint, rendered, false, false, lost);
  }

  private rewrite(target: Target, endpoint: Endpoint, lost: string[]): string {
    const request = { ...this.chat(), model: target.model, streamUsage: this.peek.stream };
    const body = endpoint.dialect.writeRequest(request, target.quirks, lost);
    for (const name in endpoint.edits) {
      const text = endpoint.edits[name];
      if (text === undefined) delete body[name];
      else body[name] = JSON.parse(text);
    }
    return JSON.stringify(body);
  }

  private outbound(
    target: Target,
    endpoint: Endpoint,
    body: Uint8Array | string,
    relay: boolean,
    hideUsage: boolean,
    lost: string[],
  ): Outbound {
    const path = endpoint.path(target.model, this.peek.stream);
    return { target, endpoint, path, url: endpoint.base + path, body, relay, hideUsage, lost };
  }
}

function parseObject(body: Uint8Array): JsonObject {
  try {
    return JSON.parse(utf8.decode(body)) as JsonObject;
  } catch (error) {
    throw new GatewayError('bad_request', `The request body is not valid JSON: ${(error as Error).message}.`);
  }
}

const utf8 = new TextDecoder();

function hasAny(edits: object): boolean {
  for (const _ in edits) return true;
  return false;
}
