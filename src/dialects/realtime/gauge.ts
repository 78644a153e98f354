/**
 * How much a session has heard and said since it was last counted: what an answer that was cut is charged by, and how
 * much the next one may need.
 */
import { emptyUsage, type Usage } from '../../core/usage.ts';
import type { Message } from '../../wire/websocket/frames.ts';
import { type RealtimeEvent, type SessionSettings, usualSettings } from './events.ts';

/** Audio of a user is a token per 100 ms, that of a model one per 50 ms. https://platform.openai.com/docs/guides/realtime-costs */
const heardTokensPerS = 10;
const saidTokensPerS = 20;
const charsPerToken = 4;
const appended = 'input_audio_buffer.append"';
/** Where the type of an event stands. */
const headChars = 200;

export class RealtimeGauge {
  settings: SessionSettings = usualSettings;
  /** Answers that have begun and are not done. */
  private open = 0;
  /** What the conversation held when the last answer was done. */
  private context = { input: 0, audioInput: 0 };
  private heard: Amount = nothing();
  private said: Amount = nothing();
  /** Seconds of audio that nobody has written down yet. */
  private untranscribedS = 0;

  /** A message of the client. */
  hear(message: Message): void {
    if (typeof message !== 'string') return;
    if (message.slice(0, headChars).includes(appended)) {
      const seconds = audioS(message.length, this.settings.heardBytesPerS);
      this.heard.audio += seconds * heardTokensPerS;
      this.untranscribedS += seconds;
    } else this.heard.text += message.length / charsPerToken;
  }

  /** An event of the provider. */
  note(event: RealtimeEvent): void {
    switch (event.type) {
      case 'session':
        this.settings = event.settings;
        return;
      case 'begun':
        this.open++;
        return;
      case 'piece':
        if (event.audio) this.said.audio += audioS(event.size, this.settings.saidBytesPerS) * saidTokensPerS;
        else this.said.text += event.size / charsPerToken;
        return;
      case 'transcribed':
        this.untranscribedS = 0;
    }
  }

  /** Whether an answer is under way. */
  get answering(): boolean {
    return this.open > 0;
  }

  /** An answer is done, and used this. */
  counted(usage: Usage): void {
    this.open = Math.max(0, this.open - 1);
    this.context = {
      input: usage.input + usage.output,
      audioInput: usage.audioInput + usage.audioOutput,
    };
    this.heard = nothing();
    if (this.open === 0) this.said = nothing();
  }

  /** What an answer must have used that nobody counted. */
  estimateAnswer(): Usage {
    const { said } = this;
    return { ...this.estimateInput(), output: whole(said.text + said.audio), audioOutput: whole(said.audio) };
  }

  /** The same of a transcript. */
  estimateTranscript(text: string): Usage {
    const audioInput = whole(this.untranscribedS * heardTokensPerS);
    return { ...emptyUsage(), input: audioInput, audioInput, output: whole(text.length / charsPerToken) };
  }

  /** What the next answer will read. */
  estimateInput(): Usage {
    const { context, heard } = this;
    const usage = emptyUsage();
    usage.input = context.input + whole(heard.text + heard.audio);
    usage.audioInput = context.audioInput + whole(heard.audio);
    return usage;
  }
}

/** In tokens. */
interface Amount {
  text: number;
  audio: number;
}

function nothing(): Amount {
  return { text: 0, audio: 0 };
}

function audioS(base64Chars: number, bytesPerS: number): number {
  return (base64Chars * 3) / 4 / bytesPerS;
}

function whole(tokens: number): number {
  return Math.ceil(tokens);
}
