/** Speech to text, in OpenAI's shape: https://platform.openai.com/docs/api-reference/audio/createTranscription */
import { isObject, type JsonObject } from '../../core/json.ts';
import { count, emptyUsage, type Usage } from '../../core/usage.ts';
import { type AudioLength, audioLength } from '../../wire/audio.ts';
import { type Ask, type Operation, readTokens, spokenByOpenai, textOf } from './operation.ts';

/** As OpenAI's models hear it, and as people speak. */
const audioTokensPerSecond = 10;
const textTokensPerSecond = 5;

export const transcriptions = toText('transcriptions');
/** Into English. */
export const translations = toText('translations');

function toText(name: string): Operation {
  return {
    name,
    clientPath: `/v1/audio/${name}`,
    form: 'only',
    contentMembers: ['text'],

    spoken: (dialect) => spokenByOpenai(dialect, `/audio/${name}`),

    text: ({ members }) => textOf(members.prompt),
    estimate(ask, textTokens) {
      const { ms } = lengthOf(ask);
      const usage = heard(ms);
      usage.audioInput = Math.ceil((ms / 1000) * audioTokensPerSecond);
      usage.input = textTokens + usage.audioInput;
      usage.output = Math.ceil((ms / 1000) * textTokensPerSecond);
      return usage;
    },
    usage: (answer, ask) => toldUsage(answer) ?? fromFile(ask),
  };
}

/**
 * Models are billed by tokens or by seconds, and answers say by which. What is not JSON (`text`, `srt`, `vtt`) says
 * nothing.
 */
function toldUsage({ usage: told, duration }: JsonObject): Usage | undefined {
  if (isObject(told) && typeof told.seconds === 'number') return heard(told.seconds * 1000);
  const usage = readTokens(told);
  if (usage !== undefined && isObject(told)) {
    const { input_token_details: details, prompt_audio_seconds: seconds } = told;
    if (isObject(details)) usage.audioInput = Math.min(count(details.audio_tokens), usage.input);
    // Mistral tells both.
    return typeof seconds === 'number' ? { ...usage, units: heard(seconds * 1000).units } : usage;
  }
  const seconds = Number(duration);
  return duration != null && seconds > 0 ? heard(seconds * 1000) : undefined;
}

function fromFile(ask: Ask): Usage | undefined {
  const { ms, exact } = lengthOf(ask);
  return exact ? heard(ms) : undefined;
}

/** A file may be long: it is looked at once. */
const lengths = new WeakMap<Ask, AudioLength>();

function lengthOf(ask: Ask): AudioLength {
  let length = lengths.get(ask);
  if (length === undefined) {
    const file = ask.files.find(({ name }) => name === 'file');
    length = file === undefined ? { ms: 0, exact: false } : audioLength(file.bytes);
    lengths.set(ask, length);
  }
  return length;
}

function heard(ms: number): Usage {
  const usage = emptyUsage();
  usage.units = { millisecond: count(Math.round(ms)) };
  return usage;
}
