/** Writes a streamed answer as Responses events, with the whole response in the first and in the last of them. */
import type { ChatEvent } from '../../core/chat.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerWish, StreamWriter } from '../dialect.ts';
import { OutputWriter } from './output.ts';
import { ownMark, writeId } from './response.ts';
import { finalResponse, openResponse, type Shell } from './shell.ts';

type Event<Type> = Extract<ChatEvent, { type: Type }>;

export class ResponsesWriter implements StreamWriter {
  private shell: Shell | undefined;
  private output: OutputWriter | undefined;
  private finish: Event<'finish'> | undefined;
  private usage: Usage | undefined;

  constructor(
    private readonly emit: (text: string) => void,
    private readonly wish: AnswerWish,
  ) {}

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'delta':
        if (event.choice === 0) this.begun().push(event);
        return;
      case 'block':
        if (event.choice === 0) this.begun().open(event.block, event.value);
        return;
      case 'close':
        if (event.choice === 0) this.begun().close(event.block, event.extra);
        return;
      case 'start':
        this.begin(event);
        return;
      case 'finish':
        if (event.choice === 0) this.finish = event;
        return;
      case 'usage':
        this.usage = event.usage;
        return;
      case 'end':
        this.end();
        return;
      case 'error':
        // Written by writeStreamError, which knows the request's id.
        return;
    }
  }

  follow(passed: string): void {
    this.begun().events.follow(passed);
  }

  private begun(): OutputWriter {
    return this.output ?? this.begin({ id: '', model: '' });
  }

  private begin(start: Pick<Event<'start'>, 'id' | 'model' | 'created' | 'usage' | 'extra'>): OutputWriter {
    if (this.output !== undefined) return this.output;
    const { model, created = Math.floor(Date.now() / 1000) } = start;
    this.usage = start.usage;
    const id = this.wish.id ?? writeId(start.id, start.extra?.object === ownMark.object);
    this.shell = { id, model, created };
    this.output = new OutputWriter(this.shell.id, this.emit);
    const response = openResponse(this.shell, this.wish);
    this.output.events.write('response.created', { response });
    this.output.events.write('response.in_progress', { response });
    return this.output;
  }

  private end(): void {
    const output = this.begun();
    const { items, reason } = output.finish(this.finish?.stop ?? 'stop');
    const shell = this.shell as Shell;
    const outcome = { items, reason, usage: this.usage, extra: this.finish?.extra };
    const response: JsonObject = finalResponse(shell, this.wish, outcome);
    output.events.write(reason === undefined ? 'response.completed' : 'response.incomplete', { response });
  }
}
