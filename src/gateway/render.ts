/** Turns a client's request into the one a target is sent: edited on its bytes, or translated through the hub. */
import type { Endpoint, Target } from '../config/snapshot.ts';
import { answerIdOf, isAnswerId } from '../core/answers.ts';
import type { Block, ChatRequest, DialectName, Message, OutputFormat } from '../core/chat.ts';
import { GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { type Expressible, foreign, namePaths, requireMeaning } from '../core/loss.ts';
import type { Usage } from '../core/usage.ts';
import type { AnswerWish, ClientDialect, Keeping } from '../dialects/dialect.ts';
import type { Amounts } from '../governance/leases.ts';
import { find } from '../wire/bytes.ts';
import type { ClientRequest } from '../wire/http/server/messages.ts';
import { splice } from '../wire/splice.ts';
import { type Adapted, adaptRequest, copiesOf } from './adapt.ts';
import { type AnswerSize, requireMost, type Size, sizeAnswer, withMost } from './answer-size.ts';
import type { Peek } from './body.ts';
import { boundInput, correctBound, isKnown, isOnlyText, roughInput } from './bound-input.ts';
import { isByInstruction } from './by-instruction.ts';
import type { Call } from './call.ts';
import { type Countable, completeChat } from './estimate.ts';
import { expectedOutput, isAmple, needsOf, usageOf } from './expected-usage.ts';
import { type FetchedMedia, fetchMedia, listWanted, withFetched } from './fetch-media.ts';
import { keptAnswer } from './kept-answers.ts';
import { ownerOf } from './names.ts';
import type { Metered } from './stream-meter.ts';

/** Who asks: what of a request counts once its body is read. */
export type Caller = Pick<ClientRequest, 'headers' | 'signal' | 'gone'>;

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
  /** The client's own name of each tool that the target knows by another. */
  names: ReadonlyMap<string, string> | undefined;
  /** What the answer has to be, where nothing but words asks for it: it is read whole then, and checked. */
  form: OutputFormat | undefined;
  /** How many attempts at once make the answer; absent: one. */
  copies?: number;
  /** Of the body, where it is no JSON. */
  contentType?: string;
}

/** What the gateway asks otherwise than its client has. @throws GatewayError `unsupported` where that target cannot be. */
export type Change = (asked: ChatRequest, target: Target, endpoint: Endpoint) => ChatRequest;

/** One client request, parsed at most once however many targets it is rendered for. */
export class Inbound implements Countable {
  private parsed: ChatRequest | undefined;
  /** What was named by its address and had to be fetched. */
  private fetched: FetchedMedia | undefined;

  /** What was said before, where the client names it by an id of the gateway's. */
  private history: Message[] | undefined;
  /** The body with what it refers to in its place. */
  private whole: JsonObject | undefined;
  readonly dialect: ClientDialect;
  /** Nobody hears the answer: nothing of it is kept. */
  private muted = false;
  private size: AnswerSize | undefined;
  /** What was found to be asked last: looking for it goes through the body. */
  private sought: { target: Target; size: Size } | undefined;
  /** Tokens that its prompt has at most, before anything was learned. */
  private bound: number | undefined;
  private onlyText: boolean | undefined;

  constructor(
    readonly peek: Peek,
    private readonly call: Call,
    private readonly request: Caller,
  ) {
    this.dialect = call.dialect;
  }

  /** The same request, asked for nobody to hear the answer. */
  mute(request: Caller): Inbound {
    const muted = new Inbound(this.peek, this.call, request);
    const { parsed, fetched, history, whole } = this;
    Object.assign(muted, { parsed, fetched, history, whole, muted: true });
    return muted;
  }

  /**
   * Looks up what the request goes on from, or refers to, where the gateway keeps it.
   * @returns a promise only where there is anything to look up. @throws GatewayError `bad_request`.
   */
  lookBack(): Promise<void> | undefined {
    const { keeping } = this.dialect;
    if (keeping === undefined) return undefined;
    const { body, previous } = this.peek;
    const goesOn = previous !== undefined && isAnswerId(previous);
    return goesOn || find(body, keeping.mark, 0) >= 0
      ? this.lookUp(keeping, goesOn ? previous : undefined)
      : undefined;
  }

  private async lookUp(keeping: Keeping, previous: string | undefined): Promise<void> {
    const { answers } = this.call.gateway;
    const owner = ownerOf(this.call.key!);
    const body = parseObject(this.peek.body);
    const kept = new Map<string, JsonObject>();
    for (const id of keeping.referredTo(body)) {
      const answer = await answers.find(owner, id);
      if (answer !== undefined) kept.set(id, JSON.parse(answer.response));
    }
    if (kept.size > 0) this.whole = keeping.resolve(body, kept);
    if (previous !== undefined) this.history = await answers.history(owner, previous, keeping);
    this.holdAnew();
  }

  /** More is asked than its body says: that has to be held as well. */
  private holdAnew(): void {
    if (this.history === undefined && this.whole === undefined) return;
    this.bound = undefined;
    this.onlyText = undefined;
    this.sought = undefined;
    this.size = undefined;
    this.call.heldFor = undefined;
  }

  /** The request in the hub's words. @throws GatewayError `bad_request`. */
  chat(): ChatRequest {
    this.parsed ??= this.read();
    return this.parsed;
  }

  private read(): ChatRequest {
    const { body, model, modelInPath, stream } = this.peek;
    const parsed = this.dialect.readRequest(this.whole ?? parseObject(body));
    // Where the path says both, the body does not.
    if (modelInPath) Object.assign(parsed, { model, stream });
    if (this.history !== undefined) {
      const [own, said] = [parsed.messages.filter(isApart), parsed.messages.filter((each) => !isApart(each))];
      parsed.messages = [...own, ...this.history, ...said];
    }
    return parsed;
  }

  complete(...[usage, passed, countTokens]: Parameters<Countable['complete']>): Promise<Usage> {
    return completeChat(usage, passed, () => this.chat(), this.peek.body, countTokens);
  }

  needs(target: Target, added?: number): Amounts {
    if (!this.counts) return this.needsFor(expectedOutput(this.peek, target, undefined), target, added);
    const { output, likely } = this.sizeAt(target, added);
    const needs = this.needsFor(output, target, added);
    const asked = this.asked(target);
    if (likely === undefined && !asked.ample) return needs;
    const tokens = asked.ample ? roughInput(asked.tokens) : asked.tokens;
    needs.likely = needsOf(usageOf({ ...asked, tokens }, likely ?? output, added), target, this.call);
    return needs;
  }

  /** The same for answers of `output` tokens. */
  needsFor(output: number, target: Target, added?: number): Amounts {
    const asked = this.counts ? this.asked(target) : this.peek;
    return needsOf(usageOf(asked, output, added), target, this.call);
  }

  /** Whether anybody limits what it uses. */
  private get counts(): boolean {
    return this.muted || this.call.whenExhausted !== undefined;
  }

  /** The most that `target` is asked, and for how much. */
  private asked(target: Target): Size {
    if (this.sought?.target !== target) this.sought = { target, size: this.seek(target) };
    return this.sought.size;
  }

  private seek(target: Target): Size {
    const { peek, call } = this;
    const { maxTokens, answers } = peek;
    const can = (this.sameDialect(target) ?? target.endpoints[0])?.dialect.can;
    const copies = can === undefined ? 1 : copiesOf({ n: answers }, can, target.quirks);
    const cuttable = peek.stream && copies === 1 && !this.isChecked(target, can);
    const ratio = call.inputRatio(target);
    if (this.bound === undefined && !this.muted && isKnown(ratio) && this.isText && !isCounted()) {
      const inBytes = { tokens: peek.body.length * copies, maxTokens, answers, cuttable, ample: true };
      if (isAmple(inBytes, target, call, call)) return inBytes;
    }
    this.bound ??= boundInput(peek.body, this.isText, () => this.chat());
    call.boundInput = this.bound;
    const tokens = correctBound(this.bound, ratio) * copies;
    return { tokens, maxTokens, answers, cuttable, ample: false };
  }

  /** Its body says it all, and in words. */
  private get isText(): boolean {
    this.onlyText ??= (this.history ?? this.whole) === undefined && isOnlyText(this.peek.body);
    return this.onlyText;
  }

  /** Whether the answer is read whole to be checked. No form is asked for without a word in the body. */
  private isChecked({ quirks }: Target, can: Expressible | undefined): boolean {
    if (can === undefined || find(this.peek.body, 'json', 0) < 0) return false;
    return isByInstruction(this.chat(), can, quirks);
  }

  /** For a stream of answers that are topped up while they run. */
  metered(target: Target, added = 0): Metered {
    const answers = Math.max(1, this.peek.answers);
    const { output } = this.sizeAt(target, added);
    const asked = this.asked(target);
    return {
      held: output * answers,
      needs: (all, input) => {
        const usage = usageOf(asked, 0, added);
        usage.output = all;
        usage.input = Math.max(usage.input, input);
        return needsOf(usage, target, this.call);
      },
    };
  }

  /** How much is held for an answer at `target`: once decided, its request is rendered by it. */
  private sizeAt(target: Target, added = 0): AnswerSize {
    if (this.size?.target !== target) {
      const asked = this.asked(target);
      const bearing = (output: number) => needsOf(usageOf(asked, output, added), target, this.call);
      this.size = sizeAnswer(asked, target, this.muted ? undefined : this.call, bearing);
    }
    return this.size;
  }

  /** What the form of the answer depends on. */
  get wish(): AnswerWish {
    const wish: AnswerWish = {
      streamUsage: this.peek.stream && (this.chat().streamUsage ?? false),
      array: this.peek.array,
      request: () => this.chat(),
    };
    const { keeping } = this.dialect;
    if (keeping === undefined || this.muted || this.chat().store === false) return wish;
    const { call, peek } = this;
    wish.id = answerIdOf(call.id);
    wish.kept = (answer) =>
      call.gateway.answers.keep(keptAnswer(call.id, ownerOf(call.key!), peek.previous, this.said(), answer));
    return wish;
  }

  /** The client's body, as later requests have to repeat it. */
  private said(): string {
    return this.whole === undefined ? utf8.decode(this.peek.body) : JSON.stringify(this.whole);
  }

  /** Takes note of state in an answer that its client cannot hand back. */
  get remember(): ((blocks: readonly Block[]) => void) | undefined {
    if (this.dialect.carriesState || this.muted) return undefined;
    return (blocks) => this.call.gateway.memory.remember(ownerOf(this.call.key!), blocks);
  }

  /**
   * @param change what is asked instead; nothing is relayed then.
   * @returns a promise only where something has to be fetched first.
   * @throws GatewayError `bad_request`, or `unsupported` when this target cannot say what was asked.
   */
  render(target: Target, change?: Change): Outbound | Promise<Outbound> {
    if (this.call.whenExhausted === 'refuse' && !this.muted) requireMost(this.peek, target);
    const same = this.sameDialect(target);
    return change === undefined && same?.dialect === this.dialect && this.mayRelay(same, target)
      ? this.relay(target, same)
      : this.translate(target, same ?? target.endpoints[0], change);
  }

  private sameDialect({ endpoints, quirks }: Target): Endpoint | undefined {
    const same = endpoints.find(({ dialect }) => dialect === this.dialect);
    const { toolsIn } = quirks;
    if (toolsIn === undefined || toolsIn === this.dialect.name) return same;
    const elsewhere =
      this.peek.members.some(({ name }) => name === 'tools') &&
      endpoints.find(({ dialect }) => dialect.name === toolsIn);
    return elsewhere || same;
  }

  /** A stream whose bytes the client's SDK would not understand goes through the hub. */
  private mayRelay({ framing }: Endpoint, { quirks }: Target): boolean {
    const { stream, array } = this.peek;
    if (this.call.gateway.forceTranslate || (this.history ?? this.whole) !== undefined) return false;
    // Where the provider keeps nothing, the gateway does, under ids of its own.
    if (quirks.keepsNothing && this.dialect.keeping !== undefined && this.chat().store !== false)
      return false;
    return !stream || (framing === 'sse' && !array);
  }

  private relay(target: Target, endpoint: Endpoint): Outbound {
    const { body, members, stream, model } = this.peek;
    const plan =
      this.needsCopies(target) || this.mostAt(target) !== undefined
        ? undefined
        : this.dialect.planRelay(body, members, stream, target.quirks);
    if (plan === undefined) {
      const lost: string[] = [];
      const asked = this.atMost(this.chat(), target);
      const adapted = adaptRequest(asked, this.dialect.can, target.quirks, true);
      const rewritten = this.rewrite(target, endpoint, adapted.request, lost);
      const { streamUsage, format } = adapted.request;
      // An answer that came as a tool's input, or has to be checked, is not passed on as it is.
      const relay =
        adapted.form === undefined &&
        adapted.copies === 1 &&
        !(target.quirks.schemaByTool && format?.type === 'schema');
      return this.outbound(target, endpoint, rewritten, relay, !streamUsage, lost, adapted);
    }
    const edits = plan.edits;
    if (model !== target.model && !this.peek.modelInPath) edits.model = target.modelJson;
    Object.assign(edits, endpoint.edits, this.lifted(endpoint));
    const rendered = hasAny(edits) ? splice(body, members, edits) : body;
    return this.outbound(target, endpoint, rendered, true, plan.hideUsage, plan.lost);
  }

  /** Where an answer that cannot be cut off has to end so that the limits bear it; undefined: where the client says. */
  private mostAt(target: Target): number | undefined {
    const cuts = this.call.whenExhausted === 'cut' && !this.muted;
    return cuts ? this.sizeAt(target).most : undefined;
  }

  private atMost(request: ChatRequest, target: Target): ChatRequest {
    const most = this.mostAt(target);
    return most === undefined ? request : withMost(request, most);
  }

  private needsCopies({ quirks }: Target): boolean {
    return quirks.oneAnswer === true && this.peek.answers > 1;
  }

  private translate(
    target: Target,
    endpoint: Endpoint | undefined,
    change: Change | undefined,
  ): Outbound | Promise<Outbound> {
    if (endpoint === undefined) throw new GatewayError('internal', `Target ${target.id} speaks no dialect.`);
    const { name, can } = endpoint.dialect;
    const asked = this.atMost(withFetched(this.recall(name), can, this.fetched), target);
    const changed = change === undefined ? asked : change(asked, target, endpoint);
    const adapted = adaptRequest(changed, can, target.quirks, false);
    const { request } = adapted;
    // Paths are the client's: it has not seen the message before its first.
    const source = adapted.shifted ? { ...this.dialect.can, systemApart: true } : this.dialect.can;
    const losses = foreign(request, name, can, source);
    const reach = this.call.snapshot.settings.fetchMedia;
    if (reach !== 'off' && losses.meaning.length > 0) {
      const wanted = listWanted(request, can);
      // Where more is lost than that, nothing is gained by fetching.
      if (wanted.length === losses.meaning.length) {
        const called = (path: string): string => namePaths([path], request, source)[0] ?? path;
        this.fetched ??= new Map();
        const fetching = fetchMedia(wanted, this.fetched, reach, this.request.signal, called);
        return fetching.then(() => this.translate(target, endpoint, change));
      }
    }
    const hints = requireMeaning(losses, name);
    const unsaid: string[] = [];
    const rendered = this.rewrite(target, endpoint, request, unsaid);
    const lost =
      unsaid.length === 0 ? hints : [...new Set([...hints, ...namePaths(unsaid, request, source)])];
    return this.outbound(target, endpoint, rendered, false, false, lost, adapted);
  }

  /** As a target of `vendor` is to read it: with the state its client could not hand back. */
  private recall(vendor: DialectName): ChatRequest {
    let request = this.chat();
    // What is told in full is not referred to as well.
    if (this.history !== undefined) request = { ...request, previousResponseId: undefined };
    if (this.dialect.carriesState) return request;
    return this.call.gateway.memory.recall(ownerOf(this.call.key!), request, vendor);
  }

  private rewrite(target: Target, endpoint: Endpoint, adapted: ChatRequest, lost: string[]): string {
    const request = { ...adapted, model: target.model, streamUsage: this.peek.stream };
    const body = endpoint.dialect.writeRequest(request, target.quirks, lost);
    const edits: Endpoint['edits'] = { ...endpoint.edits, ...this.lifted(endpoint) };
    for (const name in edits) {
      const text = edits[name];
      if (text === undefined) delete body[name];
      else body[name] = JSON.parse(text);
    }
    return JSON.stringify(body);
  }

  /** What the client says in headers, where the host of its dialect wants to read it in the body. */
  private lifted({ lift, dialect }: Endpoint): Endpoint['edits'] {
    if (lift === undefined || dialect !== this.dialect) return undefined;
    const edits: Record<string, string> = {};
    for (const name in lift) {
      const said = this.request.headers.get(name)?.split(',') ?? [];
      const words = said.map((word) => word.trim()).filter((word) => word !== '');
      if (words.length > 0) edits[lift[name]!] = JSON.stringify(words);
    }
    return edits;
  }

  private outbound(
    target: Target,
    endpoint: Endpoint,
    body: Uint8Array | string,
    relay: boolean,
    hideUsage: boolean,
    lost: string[],
    adapted?: Adapted,
  ): Outbound {
    const path = endpoint.path(target.model, this.peek.stream);
    const url = endpoint.base + path;
    const { names, form, copies } = adapted ?? asItIs;
    return { target, endpoint, path, url, body, relay, hideUsage, lost, names, form, copies };
  }
}

/** So often a prompt is counted that need not be: to learn whether they still have what they had. */
const countedEvery = 16;
let uncounted = 0;

function isCounted(): boolean {
  uncounted = (uncounted + 1) % countedEvery;
  return uncounted === 0;
}

/** Instructions that stand apart from the conversation belong to the request they came with. */
function isApart({ apart }: Message): boolean {
  return apart === true;
}

/** A request that is sent as it stands: nothing of it was said in other words. @param path below the endpoint's base URL. */
export function plainOutbound(
  target: Target,
  endpoint: Endpoint,
  path: string,
  body: Uint8Array | string,
  relay: boolean,
): Outbound {
  const url = endpoint.base + path;
  return {
    target,
    endpoint,
    path,
    url,
    body,
    relay,
    hideUsage: false,
    lost: [],
    names: undefined,
    form: undefined,
  };
}

const asItIs = { names: undefined, form: undefined, copies: 1 };

/** @throws GatewayError `bad_request` when it is none. */
export function parseObject(body: Uint8Array): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(utf8.decode(body));
  } catch (error) {
    throw new GatewayError('bad_request', `The request body is not valid JSON: ${(error as Error).message}.`);
  }
  if (isObject(value)) return value;
  throw new GatewayError('bad_request', 'The request body must be a JSON object.');
}

const utf8 = new TextDecoder();

function hasAny(edits: object): boolean {
  for (const _ in edits) return true;
  return false;
}
