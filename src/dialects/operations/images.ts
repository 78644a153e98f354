/** Images made from words, and from other images, in OpenAI's shape: https://platform.openai.com/docs/api-reference/images */
import { isObject, type JsonObject } from '../../core/json.ts';
import { count, emptyUsage, type Units, type Usage } from '../../core/usage.ts';
import { imagesByGemini } from './images/gemini.ts';
import { type Ask, type Operation, readCount, readTokens, spokenByOpenai, textOf } from './operation.ts';

/**
 * Tokens of the largest usual image, by quality. https://platform.openai.com/docs/guides/image-generation#calculating-costs
 */
const tokensByQuality: Readonly<Record<string, number>> = { low: 408, medium: 1584, high: 6240 };
/** Of one image that is shown. */
const inputImageTokens = 800;

export const imageGenerations = images('generations', 'never');
export const imageEdits = images('edits', 'also');
export const imageVariations = images('variations', 'also');

function images(what: string, form: Operation['form']): Operation {
  return {
    name: 'images',
    clientPath: `/v1/images/${what}`,
    form,
    contentMembers: ['data', 'b64_json'],

    spoken(dialect, model) {
      if (dialect === 'gemini') return what === 'generations' ? imagesByGemini(model) : undefined;
      return spokenByOpenai(dialect, `/images/${what}`);
    },

    text: ({ members }) => textOf(members.prompt),
    estimate,
    usage: readUsage,
  };
}

function estimate(ask: Ask, textTokens: number): Usage {
  const usage = emptyUsage();
  const wanted = readCount(ask, 'n') ?? 1;
  usage.imageInput = ask.files.length * inputImageTokens;
  usage.input = textTokens + usage.imageInput;
  usage.output = wanted * (tokensByQuality[textOf(ask.members.quality)] ?? tokensByQuality.high!);
  usage.imageOutput = usage.output;
  usage.units = unitsOf(wanted, {}, ask);
  return usage;
}

/** A whole answer has a list of images; the last event of a stream is one. */
function readUsage(answer: JsonObject, ask: Ask): Usage {
  const { usage: told, data } = answer;
  const usage = readTokens(told) ?? emptyUsage();
  if (isObject(told)) {
    const { input_tokens_details: read, output_tokens_details: made } = told;
    if (isObject(read)) usage.imageInput = Math.min(count(read.image_tokens), usage.input);
    usage.imageOutput = isObject(made) ? Math.min(count(made.image_tokens), usage.output) : usage.output;
  }
  usage.units = unitsOf(Array.isArray(data) ? data.length : 1, answer, ask);
  return usage;
}

function unitsOf(image: number, answer: JsonObject, { members }: Ask): Units {
  const quality = textOf(answer.quality) || textOf(members.quality);
  const size = textOf(answer.size) || textOf(members.size);
  return quality === '' && size === '' ? { image } : { image, imageKind: `${quality}/${size}` };
}
