/** Streamed answers: chunks of the same shape as whole ones, each with a piece of the text. */
import type { Block, ChatEvent, StopReason } from '../../core/chat.ts';
import { GatewayError } from '../../core/error.ts';
import type { Json } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerWish, StreamReader, StreamWriter } from '../dialect.ts';
import { writeStreamError } from '../openai-chat/error.ts';
import { ChatStreamReader, parseChunk } from '../openai-chat/read-stream.ts';
import { writeUsage } from '../openai-chat/usage.ts';
import { terminator } from '../openai-chat/write-stream.ts';
import type { Quirks } from '../quirks.ts';
import { asChatChoice, isRefusal, isSaid, isThought, promptLength, writeId, writeStop } from './answer.ts';
import { writeLogprobs } from './logprobs.ts';

/**
 * As for Chat Completions, but for the role, which nothing has here: what tells that there is another choice is its
 * index, and all chunks of choices but the first are looked at.
 */
export const tapMarkers: readonly string[] = [
  '"prompt_tokens"',
  '"finish_reason":"',
  '"finish_reason": "',
  '"error"',
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((digit) => [`"index":${digit}`, `"index": ${digit}`]),
  'event: error',
  'event:error',
  '[DONE]',
];

/** Reads chunks as those of Chat Completions, once their choices have that shape. */
export class CompletionStreamReader implements StreamReader {
  private readonly chat: ChatStreamReader;

  constructor(emit: (event: ChatEvent) => void, quirks: Quirks) {
    this.chat = new ChatStreamReader(emit, quirks);
  }

  push(event: string, data: string): void {
    const chunk = data === '' || data === '[DONE]' ? undefined : parseChunk(data);
    if (chunk === undefined || chunk instanceof GatewayError) {
      this.chat.push(event, data);
      return;
    }
    if (Array.isArray(chunk.choices)) {
      chunk.choices = chunk.choices.map((choice) => asChatChoice(choice, 'delta'));
    }
    this.chat.pushChunk(event, chunk);
  }

  end(): void {
    this.chat.end();
  }
}

/** The member a block's text goes into; undefined for blocks that are not written. */
type Place = 'text' | 'reasoning' | undefined;

interface ChoiceState {
  places: Place[];
  /** Where the next token begins; -1 until one is told of. */
  offset: number;
  refused: boolean;
}

/** Chunks are put together from ready-made text; only what is new in an event is turned into JSON. */
export class CompletionStreamWriter implements StreamWriter {
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
      case 'finish':
        this.finish(event.choice, event.stop);
        break;
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
    const id = JSON.stringify(writeId(event.id, false));
    const created = event.created ?? Math.floor(Date.now() / 1000);
    this.head = `data: {"id":${id},"object":"text_completion","created":${created},"model":${JSON.stringify(event.model)},"choices":[`;
    if (event.usage !== undefined) this.usage = event.usage;
  }

  private choiceAt(index: number): ChoiceState {
    let choice = this.choices[index];
    if (choice === undefined) {
      choice = { places: [], offset: -1, refused: false };
      this.choices[index] = choice;
    }
    return choice;
  }

  private openBlock(index: number, number: number, block: Block): void {
    const place: Place = isSaid(block) ? 'text' : isThought(block) ? 'reasoning' : undefined;
    const choice = this.choiceAt(index);
    choice.places[number] = place;
    choice.refused ||= isRefusal(block);
    if (place !== undefined && 'text' in block && block.text !== '') this.write(index, place, block.text);
  }

  private writeDelta(event: Extract<ChatEvent, { type: 'delta' }>): void {
    const place = this.choices[event.choice]?.places[event.block];
    const text = event.text ?? '';
    const logprobs = event.logprobs === undefined ? 'null' : this.logprobsOf(event.choice, event.logprobs);
    if (place !== undefined && text !== '') this.write(event.choice, place, text, logprobs);
    else if (logprobs !== 'null') this.write(event.choice, 'text', '', logprobs);
  }

  private logprobsOf(index: number, value: Json): string {
    const choice = this.choiceAt(index);
    if (choice.offset < 0) choice.offset = promptLength(this.wish);
    const { logprobs, offset } = writeLogprobs(value, choice.offset);
    choice.offset = offset;
    return JSON.stringify(logprobs);
  }

  private finish(index: number, stop: StopReason): void {
    const word = writeStop(stop, this.choiceAt(index).refused);
    this.write(index, 'text', '', 'null', JSON.stringify(word));
  }

  /** `logprobs` and `finish` are JSON text. */
  private write(
    index: number,
    place: 'text' | 'reasoning',
    text: string,
    logprobs = 'null',
    finish = 'null',
  ): void {
    const words =
      place === 'text' ? `"text":${JSON.stringify(text)}` : `"text":"","reasoning":${JSON.stringify(text)}`;
    this.emit(
      `${this.head}{${words},"index":${index},"logprobs":${logprobs},"finish_reason":${finish}${this.tail}`,
    );
  }
}
