/** Text to speech, in OpenAI's shape: https://platform.openai.com/docs/api-reference/audio/createSpeech */
import { emptyUsage, type Usage } from '../../core/usage.ts';
import { type Ask, type Operation, readTokens, spokenByOpenai, textOf } from './operation.ts';

/** A character takes about 67 ms to say, and a minute of audio 1250 tokens. */
const audioTokensPerCharacter = 1.4;

export const speech: Operation = {
  name: 'speech',
  clientPath: '/v1/audio/speech',
  form: 'never',
  contentMembers: [],

  spoken: (dialect) => spokenByOpenai(dialect, '/audio/speech'),

  text: ({ members }) => `${textOf(members.instructions)}${textOf(members.input)}`,
  estimate(ask, textTokens) {
    const usage = spokenBy(ask, emptyUsage());
    usage.input = textTokens;
    usage.output = Math.ceil((usage.units?.character ?? 0) * audioTokensPerCharacter);
    usage.audioOutput = usage.output;
    return usage;
  },
  /** The characters are known from the request; tokens are told by the last event of a stream only. */
  usage(answer, ask) {
    const usage = readTokens(answer.usage) ?? emptyUsage();
    usage.audioOutput = usage.output;
    return spokenBy(ask, usage);
  },
};

function spokenBy({ members }: Ask, usage: Usage): Usage {
  const character = [...textOf(members.input)].length;
  if (character > 0) usage.units = { character };
  return usage;
}
