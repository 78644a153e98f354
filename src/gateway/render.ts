/** Turns a client's request into the one a target is sent: edited on its bytes, or translated through the hub. */
import type { Endpoint, Target } from '../config/snapshot.ts';
import type { ChatRequest } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import type { JsonObject } from '../core/json.ts';
import { foreign, namePaths, requireMeaning } from '../core/loss.ts';
import type { Dialect } from '../dialects/dialect.ts';
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
    readonly dialect: Dialect,
    private readonly forceTranslate: boolean,
  ) {}

  /** The request in the hub's words. @throws GatewayError `bad_request`. */
  chat(): ChatRequest {
    this.parsed ??= this.dialect.readRequest(parseObject(this.peek.body));
    return this.parsed;
  }

  /** @throws GatewayError `bad_request`, or `unsupported` when this target cannot say what was asked. */
  render(target: Target): Outbound {
    const same = this.forceTranslate ? undefined : target.endpoints.find((e) => e.dialect === this.dialect);
    return same === undefined ? this.translate(target) : this.relay(target, same);
  }

  private relay(target: Target, endpoint: Endpoint): Outbound {
    const { body, members, stream, model } = this.peek;
    const plan = this.dialect.planRelay(body, members, stream, target.quirks);
    if (plan === undefined) {
      const lost: string[] = [];
      const rewritten = this.rewrite(target, this.dialect, lost);
      return this.outbound(target, endpoint, rewritten, true, !this.chat().streamUsage, lost);
    }
    const edits = plan.edits;
    if (model !== target.model) edits.model = target.modelJson;
    const rendered = hasAny(edits) ? splice(body, members, edits) : body;
    return this.outbound(target, endpoint, rendered, true, plan.hideUsage, plan.lost);
  }

  private translate(target: Target): Outbound {
    const endpoint = this.forceTranslate
      ? (target.endpoints.find((e) => e.dialect === this.dialect) ?? target.endpoints[0])
      : target.endpoints[0];
    if (endpoint === undefined) throw new GatewayError('internal', `Target ${target.id} speaks no dialect.`);
    const request = this.chat();
    const { name, can } = endpoint.dialect;
    const source = this.dialect.can;
    const hints = requireMeaning(foreign(request, name, can, source), name);
    const unsaid: string[] = [];
    const rendered = this.rewrite(target, endpoint.dialect, unsaid);
    const lost =
      unsaid.length === 0 ? hints : [...new Set([...hints, ...namePaths(unsaid, request, source)])];
    return this.outbound(target, endpoint, rendered, false, false, lost);
  }

  private rewrite(target: Target, dialect: Dialect, lost: string[]): string {
    const request = { ...this.chat(), model: target.model, streamUsage: this.peek.stream };
    return JSON.stringify(dialect.writeRequest(request, target.quirks, lost));
  }

  private outbound(
    target: Target,
    endpoint: Endpoint,
    body: Uint8Array | string,
    relay: boolean,
    hideUsage: boolean,
    lost: string[],
  ): Outbound {
    const path = endpoint.dialect.path(target.model, this.peek.stream);
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
