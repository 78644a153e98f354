/** Writes a stream of events as Chat Completions chunks: https://platform.openai.com/docs/api-reference/chat/streaming */
import type { Block, ChatEvent, VendorState } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerWish, StreamWriter } from '../dialect.ts';
import { isLegacyCall, writeAnnotation, writeFinish, writeId, writeImage } from './answer.ts';
import { writeStreamError } from './error.ts';
import { stateMember } from './state.ts';
import { writeUsage } from './usage.ts';

export const terminator = 'data: [DONE]\n\n';

/** What is known of an open block; text is spelled out by its text member's name. */
interface Piece {
  /** The delta member its text goes into; undefined for what is not written. */
  member: 'content' | 'reasoning_content' | 'refusal' | 'tool' | undefined;
  /** Position among the choice's tool calls; -1 for the one call before tools. */
  tool: number;
  custom: boolean;
  /** Some of a tool's arguments have been written. */
  filled: boolean;
}

interface ChoiceState {
  pieces: Piece[];
  tools: number;
  legacy: boolean;
  /** Length of the content so far, for citations. */
  length: number;
}

/** Chunks are put together from ready-made text; only what is new in an event is turned into JSON. */
export class ChatStreamWriter implements StreamWriter {
  private head = '';
  private readonly tail: string;
  private usage: Usage | undefined;
  private readonly choices: (ChoiceState | undefined)[] = [];

  constructor(
    private readonly emit: (text: string) => void,
    private readonly wish: AnswerWish,
  ) {
    this.tail = wish.streamUsage ? '}],"usage":null}\n\n' : '}]}\n\n';
  }

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'delta':
        this.writeDelta(event);
        break;
      case 'start':
        this.start(event);
        break;
      case 'block':
        this.openBlock(event.choice, event.block, event.value);
        break;
      case 'close':
        this.closeBlock(event.choice, event.block);
        break;
      case 'finish': {
        const legacy = this.choiceAt(event.choice, '""').legacy;
        this.write(event.choice, '{}', `"${writeFinish(event.stop, legacy)}"`);
        break;
      }
      case 'usage':
        this.usage = event.usage;
        break;
      case 'end':
        if (this.wish.streamUsage && this.usage !== undefined) {
          this.emit(`${this.head}],"usage":${JSON.stringify(writeUsage(this.usage))}}\n\n`);
        }
        this.emit(terminator);
        break;
      case 'error':
        this.emit(writeStreamError(event.error, ''));
        break;
    }
  }

  private start(event: Extract<ChatEvent, { type: 'start' }>): void {
    // Dialects whose streams tell when the answer was made have ids of this one's kind.
    const id = JSON.stringify(writeId(event.id, event.created !== undefined));
    const created = event.created ?? Math.floor(Date.now() / 1000);
    this.head = `data: {"id":${id},"object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(event.model)},"choices":[`;
    if (event.usage !== undefined) this.usage = event.usage;
  }

  /** `delta` and `finish` are JSON text. */
  private write(choice: number, delta: string, finish = 'null', logprobs = ''): void {
    this.emit(
      `${this.head}{"index":${choice},"delta":${delta}${logprobs},"finish_reason":${finish}${this.tail}`,
    );
  }

  /** Every choice begins with its role. `content` is JSON text. */
  private choiceAt(index: number, content: string): ChoiceState {
    let choice = this.choices[index];
    if (choice === undefined) {
      choice = { pieces: [], tools: 0, legacy: false, length: 0 };
      this.choices[index] = choice;
      this.write(index, `{"role":"assistant","content":${content},"refusal":null}`);
    }
    return choice;
  }

  private openBlock(index: number, number: number, block: Block): void {
    const choice = this.choiceAt(index, block.type === 'tool-call' ? 'null' : '""');
    const piece: Piece = { member: undefined, tool: -1, custom: false, filled: false };
    choice.pieces[number] = piece;
    switch (block.type) {
      case 'text':
        piece.member = 'content';
        if (block.text !== '') this.writeText(index, choice, piece, block.text);
        break;
      case 'reasoning':
        piece.member = 'reasoning_content';
        if (block.text !== '') this.writeText(index, choice, piece, block.text);
        break;
      case 'refusal':
        piece.member = 'refusal';
        if (block.text !== '') this.writeText(index, choice, piece, block.text);
        break;
      case 'tool-call': {
        piece.member = 'tool';
        piece.filled = block.input !== '';
        if (isLegacyCall(block)) {
          choice.legacy = true;
          const call = { name: block.name, arguments: block.input };
          this.write(index, `{"function_call":${JSON.stringify(call)}}`);
          break;
        }
        piece.tool = choice.tools++;
        piece.custom = block.custom === true;
        const call: JsonObject = piece.custom
          ? {
              index: piece.tool,
              id: block.id,
              type: 'custom',
              custom: { name: block.name, input: block.input },
            }
          : {
              index: piece.tool,
              id: block.id,
              type: 'function',
              function: { name: block.name, arguments: block.input },
            };
        if (block.extra?.extra_content !== undefined) call.extra_content = block.extra.extra_content;
        Object.assign(call, stateMember(block));
        this.write(index, `{"tool_calls":[${JSON.stringify(call)}]}`);
        break;
      }
      case 'media': {
        const images = writeImage(block);
        if (images.length > 0) this.write(index, JSON.stringify({ images }));
        break;
      }
      case 'opaque':
        if (block.dialect !== 'openai-chat') break;
        this.write(index, JSON.stringify(block.value));
        break;
    }
  }

  private writeText(index: number, choice: ChoiceState, piece: Piece, text: string, logprobs = ''): void {
    if (piece.member === 'content') choice.length += text.length;
    this.write(index, `{"${piece.member}":${JSON.stringify(text)}}`, 'null', logprobs);
  }

  private writeDelta(event: Extract<ChatEvent, { type: 'delta' }>): void {
    const choice = this.choiceAt(event.choice, '""');
    const piece = choice.pieces[event.block];
    const logprobs = event.logprobs === undefined ? '' : `,"logprobs":${JSON.stringify(event.logprobs)}`;
    if (piece?.member === 'tool') {
      if (event.input !== undefined && event.input !== '') this.writeInput(event.choice, piece, event.input);
      if (event.state !== undefined) this.writeState(event.choice, piece, event.state);
    } else if (piece?.member !== undefined && event.text !== undefined && event.text !== '') {
      this.writeText(event.choice, choice, piece, event.text, logprobs);
      return;
    } else if (event.citation !== undefined) {
      const annotation = writeAnnotation(event.citation, 0, choice.length);
      if (annotation !== undefined) this.write(event.choice, JSON.stringify({ annotations: [annotation] }));
    }
    if (logprobs !== '') this.write(event.choice, '{}', 'null', logprobs);
  }

  private writeState(index: number, { tool }: Piece, state: VendorState): void {
    const member = stateMember({ type: 'tool-call', id: '', name: '', input: '', state });
    if (tool >= 0) this.write(index, JSON.stringify({ tool_calls: [{ index: tool, ...member }] }));
  }

  private writeInput(index: number, piece: Piece, input: string): void {
    piece.filled = true;
    if (piece.tool === -1) {
      this.write(index, `{"function_call":{"arguments":${JSON.stringify(input)}}}`);
      return;
    }
    const spec = piece.custom ? '"custom":{"input":' : '"function":{"arguments":';
    this.write(index, `{"tool_calls":[{"index":${piece.tool},${spec}${JSON.stringify(input)}}}]}`);
  }

  /** A call without arguments still has some: an empty object. */
  private closeBlock(index: number, number: number): void {
    const piece = this.choices[index]?.pieces[number];
    if (piece?.member === 'tool' && !piece.filled && !piece.custom) this.writeInput(index, piece, '{}');
  }
}
