/** Reads a streamed answer of Gemini: every event is a piece of the answer in the form of a whole one. */

import type { Block, ChatEvent, ToolCallBlock } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import { randomId } from '../../core/id.ts';
import { isObject, type JsonObject, rest } from '../../core/json.ts';
import { type Usage, withSearches } from '../../core/usage.ts';
import type { StreamReader } from '../dialect.ts';
import { classifyErrorPayload } from '../upstream-error.ts';
import {
  isAnswer,
  parseChunks,
  partsOf,
  readAnswerExtra,
  readBlock,
  readCandidateExtra,
  readCreated,
} from './answer.ts';
import { readSources } from './grounding.ts';
import { readLogprobs } from './logprobs.ts';
import { PartialArgs } from './partial-args.ts';
import { dialectName, isEmpty, isText, partMembers, readMediaPart, textOf } from './read-part.ts';
import { isMalformed, readStop } from './stop.ts';
import { addQueries, countsTokens, readUsage, readUsageExtra } from './usage.ts';

type Emit = (event: ChatEvent) => void;

/** A call as it came; its arguments may still be coming. */
interface Held {
  part: JsonObject;
  value: ToolCallBlock;
  args: PartialArgs;
  whole: boolean;
}

/** One candidate, between its pieces. */
interface State {
  index: number;
  blocks: number;
  /** The block that text or thoughts flow into; -1 when none is open. */
  open: number;
  thought: boolean;
  /** The open block has its signature: what follows is another part. */
  signed: boolean;
  /** Text of the open block, which its citations refer to. */
  text: string;
  /** Calls that are held back: what follows tells whether they are the client's to carry out. */
  held: Held[];
  /** Calls that were told. */
  calls: number;
  /** Why it ended; '' until it has. */
  finish: string;
  extra: JsonObject;
}

/** Finishes are held back until the stream ends: they may come more than once, and usage with each of them. */
export class GeminiReader implements StreamReader {
  private readonly states: State[] = [];
  private started = false;
  private over = false;
  private id = '';
  /** The prompt was refused, and how. */
  private feedback: JsonObject | undefined;
  private blocked = false;
  /** Usage so far, as it came: nearly every event has it, and the last one counts. */
  private counts: JsonObject | undefined;

  private readonly queries = new Set<string>();

  constructor(private readonly emit: Emit) {}

  private readUsage(): Usage | undefined {
    return withSearches(readUsage(this.counts), this.queries.size);
  }

  push(_event: string, data: string): void {
    if (this.over || data === '') return;
    const chunks = parseChunks(data);
    if (chunks instanceof GatewayError) this.fail(chunks);
    else for (const chunk of chunks) this.pushChunk(chunk);
  }

  pushChunk(chunk: JsonObject): void {
    if (this.over) return;
    if (chunk.error !== undefined && chunk.error !== null) {
      this.fail(classifyErrorPayload(chunk));
      return;
    }
    if (!isAnswer(chunk)) return;
    if (countsTokens(chunk.usageMetadata)) this.counts = chunk.usageMetadata;
    this.start(chunk);
    if (isObject(chunk.promptFeedback)) this.feedback = { ...this.feedback, ...chunk.promptFeedback };
    if (readBlock(chunk) !== '') this.blocked = true;
    if (!Array.isArray(chunk.candidates)) return;
    addQueries(this.queries, chunk.candidates);
    for (let i = 0; i < chunk.candidates.length; i++) {
      const candidate = chunk.candidates[i];
      if (isObject(candidate)) this.pushCandidate(candidate, i);
    }
  }

  /**
   * Without a finish of every candidate the answer was cut: then nothing is emitted.
   * @param whole it did not come in pieces, so that there is nothing to be cut.
   */
  end(whole = false): void {
    if (this.over) return;
    const { states } = this;
    if (this.blocked && states.length === 0) this.stateAt(0);
    const done = whole || this.blocked || states.every(({ finish }) => finish !== '');
    if (states.length === 0 || !done) return;
    this.over = true;
    for (const state of states) this.closeBlocks(state);
    for (const state of states) this.finish(state);
    const usage = this.readUsage();
    if (usage !== undefined) this.emit({ type: 'usage', usage });
    this.emit({ type: 'end' });
  }

  get pending(): boolean {
    return this.states.some(({ held }) => held.length > 0);
  }

  private fail(error: GatewayError): void {
    this.over = true;
    const usage = this.readUsage();
    if (this.started && usage !== undefined) this.emit({ type: 'usage', usage });
    this.emit({ type: 'error', error });
  }

  private start(chunk: JsonObject): void {
    if (this.started) return;
    this.started = true;
    this.id = textOf(chunk.responseId);
    const start: ChatEvent = { type: 'start', id: this.id, model: textOf(chunk.modelVersion) };
    const created = readCreated(chunk);
    if (created !== undefined) start.created = created;
    const usage = this.readUsage();
    if (usage !== undefined) start.usage = usage;
    const extra = readAnswerExtra(chunk);
    if (extra !== undefined) start.extra = extra;
    this.emit(start);
  }

  private stateAt(index: number): State {
    for (const state of this.states) if (state.index === index) return state;
    const state: State = {
      index,
      blocks: 0,
      open: -1,
      thought: false,
      signed: false,
      text: '',
      held: [],
      calls: 0,
      finish: '',
      extra: {},
    };
    this.states.push(state);
    return state;
  }

  private pushCandidate(candidate: JsonObject, position: number): void {
    const state = this.stateAt(typeof candidate.index === 'number' ? candidate.index : position);
    for (const part of partsOf(candidate)) this.pushPart(state, part);
    const logprobs = readLogprobs(candidate.logprobsResult);
    if (logprobs !== undefined) {
      this.emit({ type: 'delta', choice: state.index, block: Math.max(0, state.blocks - 1), logprobs });
    }
    const extra = readCandidateExtra(candidate);
    if (extra !== undefined) Object.assign(state.extra, extra);
    const finish = textOf(candidate.finishReason);
    if (finish !== '') state.finish = finish;
  }

  private pushPart(state: State, part: JsonObject): void {
    if (isObject(part.functionCall)) {
      this.pushCall(state, part, part.functionCall);
      return;
    }
    if (isObject(part.functionResponse)) this.passCall(state, part.functionResponse);
    if (isText(part)) {
      this.pushText(state, part);
      return;
    }
    const media = readMediaPart(part);
    if (media === undefined && isEmpty(part)) return;
    this.tellCalls(state);
    this.closeText(state);
    this.emitWhole(state, media ?? { type: 'opaque', dialect: dialectName, value: part });
  }

  // Text and thoughts

  /** A signature belongs to the text it comes with, or, with none of its own, to the text before it. */
  private pushText(state: State, part: JsonObject): void {
    const text = textOf(part.text);
    const signature = textOf(part.thoughtSignature);
    if (text === '' && signature === '') return;
    this.tellCalls(state);
    const thought = part.thought === true;
    const extra = rest(part, partMembers.text);
    if (state.open === -1 || state.thought !== thought || state.signed || extra !== undefined) {
      this.openText(state, thought, extra);
    }
    const { index: choice, open: block } = state;
    if (text !== '') {
      if (!thought) state.text += text;
      this.emit({ type: 'delta', choice, block, text });
    }
    if (signature === '') return;
    state.signed = true;
    if (thought) this.emit({ type: 'delta', choice, block, signature });
    else this.emit({ type: 'delta', choice, block, state: { vendor: dialectName, value: signature } });
  }

  private openText(state: State, thought: boolean, extra: JsonObject | undefined): void {
    this.closeText(state);
    const value: Block = thought
      ? { type: 'reasoning', text: '', vendor: dialectName }
      : { type: 'text', text: '' };
    state.open = this.openBlock(state, extra === undefined ? value : { ...value, extra });
    state.thought = thought;
    state.signed = false;
    state.text = '';
  }

  private closeText(state: State): void {
    if (state.open === -1) return;
    this.emit({ type: 'close', choice: state.index, block: state.open });
    state.open = -1;
  }

  private openBlock(state: State, value: Block): number {
    const block = state.blocks++;
    this.emit({ type: 'block', choice: state.index, block, value });
    return block;
  }

  private emitWhole(state: State, value: Block): void {
    const block = this.openBlock(state, value);
    this.emit({ type: 'close', choice: state.index, block });
  }

  // Calls

  /** A call comes whole, or its name first and its arguments in pieces without one. */
  private pushCall(state: State, part: JsonObject, call: JsonObject): void {
    const name = textOf(call.name);
    if (name !== '') {
      const value = this.startCall(state, part, call, name);
      state.held.push({ part, value, args: new PartialArgs(), whole: false });
    }
    const held = state.held.at(-1);
    if (held === undefined || held.whole) return;
    if (isObject(call.args)) held.args.merge(call.args);
    for (const piece of Array.isArray(call.partialArgs) ? call.partialArgs : []) held.args.push(piece);
    held.whole = call.willContinue !== true;
  }

  private startCall(state: State, part: JsonObject, call: JsonObject, name: string): ToolCallBlock {
    const id = textOf(call.id);
    const value: ToolCallBlock = {
      type: 'tool-call',
      id: id === '' ? this.callId(state) : id,
      name,
      input: '',
    };
    const signature = textOf(part.thoughtSignature);
    if (signature !== '') value.state = { vendor: dialectName, value: signature };
    const extra = rest(part, partMembers.call);
    if (extra !== undefined) value.extra = extra;
    return value;
  }

  /** An id for a call without one: the same whenever the same answer is read, and no other answer's. */
  private callId({ index, calls, held }: State): string {
    if (this.id === '') return randomId('call_');
    return `call_${Bun.hash(`${this.id} ${index} ${calls + held.length}`).toString(36)}`;
  }

  /** The calls are the client's. */
  private tellCalls(state: State): void {
    if (state.held.length > 0) this.closeText(state);
    for (const { value, args, whole } of state.held) {
      const at = { choice: state.index, block: this.openBlock(state, value) };
      this.emit({ type: 'delta', ...at, input: args.text(whole) });
      this.emit({ type: 'close', ...at });
      state.calls += 1;
    }
    state.held = [];
  }

  /** A result in the answer itself: the provider has carried out the call (a tool it was told the server of). */
  private passCall(state: State, result: JsonObject): void {
    const id = textOf(result.id);
    const at = state.held.findIndex(({ value }) =>
      id === '' ? value.name === result.name : value.id === id,
    );
    const [answered] = at < 0 ? [] : state.held.splice(at, 1);
    if (answered === undefined) return;
    this.closeText(state);
    this.emitWhole(state, { type: 'opaque', dialect: dialectName, value: answered.part });
  }

  // The end

  private closeBlocks(state: State): void {
    if (state.open !== -1 && !state.thought) {
      for (const citation of readSources(state.text, state.extra)) {
        this.emit({ type: 'delta', choice: state.index, block: state.open, citation });
      }
    }
    this.closeText(state);
    if (!isMalformed(state.finish)) this.tellCalls(state);
  }

  /** What has no word in the hub stands under the members it came from, so that nobody takes it for his own. */
  private finish({ index: choice, blocks, calls, finish, extra: candidate }: State): void {
    const silent = blocks === 0;
    const stop = this.blocked && finish === '' ? 'content_filter' : readStop(finish, calls > 0, silent);
    const extra: JsonObject = {};
    if (Object.keys(candidate).length > 0) extra.candidate = candidate;
    if (finish !== '' && !usual.has(finish)) extra.finishReason = finish;
    if (choice === this.states[0]?.index) {
      if (this.feedback !== undefined) extra.promptFeedback = this.feedback;
      const usage = readUsageExtra(this.counts);
      if (usage !== undefined) extra.usageMetadata = usage;
    }
    this.emit(
      Object.keys(extra).length === 0
        ? { type: 'finish', choice, stop }
        : { type: 'finish', choice, stop, extra },
    );
  }
}

/** What the writer says of itself. */
const usual = new Set(['STOP', 'MAX_TOKENS', 'SAFETY']);
