/**
 * Images of Google: Imagen by `predict`, Gemini's own by generateContent, one a call.
 * https://ai.google.dev/gemini-api/docs/imagen, https://ai.google.dev/gemini-api/docs/image-generation
 */
import { GatewayError } from '../../../core/error.ts';
import { isObject, type Json, type JsonObject } from '../../../core/json.ts';
import { pathOf } from '../../gemini/path.ts';
import { readUsage } from '../../gemini/usage.ts';
import {
  type Answered,
  type Ask,
  invalidAnswer,
  nameUnsaid,
  readCount,
  type Spoken,
  textOf,
  unsupported,
  wrong,
} from '../operation.ts';

/** Undefined: no model that makes images. */
export function imagesByGemini(model: string): Spoken | undefined {
  if (/imagen/.test(model)) return imagen;
  return /image/.test(model) ? gemini : undefined;
}

const imagenRatios = ['1:1', '3:4', '4:3', '9:16', '16:9'];
const geminiRatios = [...imagenRatios, '2:3', '3:2', '4:5', '5:4', '21:9'];
/** So many are made at most: by Imagen in one request, by Gemini in as many, which are as many as OpenAI makes. */
const maxSamples = 4;
const maxImages = 10;

const imagen: Spoken = {
  path: (model) => pathOf(model, 'predict'),
  translation: {
    write(ask, _model, lost) {
      const { prompt, count, aspectRatio } = readWish(ask, imagenRatios, maxSamples, lost);
      const parameters = { sampleCount: count, ...(aspectRatio !== undefined && { aspectRatio }) };
      return [{ instances: [{ prompt }], parameters }];
    },
    read(answers, ask) {
      const [first] = answers;
      const predictions = Array.isArray(first?.body.predictions)
        ? first.body.predictions.filter(isObject)
        : [];
      const found = predictions.filter(({ bytesBase64Encoded }) => typeof bytesBase64Encoded === 'string');
      if (found.length === 0) throw withheld(predictions[0]?.raiFilteredReason);
      return writeImages(
        found.map(({ mimeType, bytesBase64Encoded }) => ({ mimeType, data: bytesBase64Encoded })),
        ask,
      );
    },
  },
};

const gemini: Spoken = {
  path: (model) => pathOf(model, 'generateContent'),
  translation: {
    write(ask, _model, lost) {
      const { prompt, count, aspectRatio } = readWish(ask, geminiRatios, maxImages, lost);
      const generationConfig: JsonObject = { responseModalities: ['IMAGE'] };
      if (aspectRatio !== undefined) generationConfig.imageConfig = { aspectRatio };
      const body: JsonObject = { contents: [{ role: 'user', parts: [{ text: prompt }] }], generationConfig };
      return Array.from({ length: count }, () => body);
    },
    read(answers, ask) {
      const images = answers.flatMap(({ body }) => imagesIn(body));
      if (images.length === 0) throw withheld(reasonIn(answers));
      const usage = sumUsage(answers);
      return { ...writeImages(images, ask), ...(usage !== undefined && { usage }) };
    },
  },
};

interface Wish {
  prompt: string;
  count: number;
  aspectRatio: string | undefined;
}

function readWish(ask: Ask, ratios: readonly string[], most: number, lost: string[]): Wish {
  const { prompt, size } = ask.members;
  if (typeof prompt !== 'string' || prompt === '') throw wrong('prompt', 'must be a text');
  if (ask.stream) throw unsupported('stream', 'is not possible with this model. Ask for a whole answer.');
  nameUnsaid(ask, ['model', 'prompt', 'n', 'response_format', 'stream', 'partial_images'], lost);
  const count = readCount(ask, 'n') ?? 1;
  if (count > most) throw unsupported('n', `is at most ${most} with this model.`);
  return { prompt, count, aspectRatio: ratioOf(textOf(size), ratios) };
}

/** The ratio nearest to that of `1024x1792`; how many pixels an image has is the model's own choice. */
function ratioOf(size: string, ratios: readonly string[]): string | undefined {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(size) ?? [];
  if (width === undefined) return undefined;
  const wanted = Math.log(Number(width) / Number(height));
  const distance = (ratio: string): number => {
    const [x, y] = ratio.split(':').map(Number);
    return Math.abs(Math.log(x! / y!) - wanted);
  };
  return [...ratios].sort((a, b) => distance(a) - distance(b))[0];
}

interface Image {
  mimeType: Json | undefined;
  data: Json | undefined;
}

function imagesIn({ candidates }: JsonObject): Image[] {
  const images: Image[] = [];
  for (const candidate of Array.isArray(candidates) ? candidates : []) {
    const content = isObject(candidate) ? candidate.content : undefined;
    const parts = isObject(content) && Array.isArray(content.parts) ? content.parts : [];
    for (const part of parts) {
      // Drafts on the way to an image are thoughts.
      if (!isObject(part) || part.thought === true || !isObject(part.inlineData)) continue;
      images.push({ mimeType: part.inlineData.mimeType, data: part.inlineData.data });
    }
  }
  return images;
}

/** Always as data: whoever wants an address gets one that holds it. */
function writeImages(images: readonly Image[], { members }: Ask): JsonObject {
  const data = images.map(({ mimeType, data: base64 }): JsonObject => {
    if (typeof base64 !== 'string') throw invalidAnswer('an image is no text');
    if (members.response_format !== 'url') return { b64_json: base64 };
    return { url: `data:${textOf(mimeType) || 'image/png'};base64,${base64}` };
  });
  return { created: Math.floor(Date.now() / 1000), data };
}

function reasonIn(answers: readonly Answered[]): Json | undefined {
  for (const { body } of answers) {
    const { promptFeedback, candidates } = body;
    if (isObject(promptFeedback) && promptFeedback.blockReason !== undefined)
      return promptFeedback.blockReason;
    const [first] = Array.isArray(candidates) ? candidates : [];
    if (isObject(first) && first.finishReason !== undefined) return first.finishReason;
  }
  return undefined;
}

function withheld(reason: Json | undefined): GatewayError {
  const why = textOf(reason);
  if (why === '' || why === 'STOP') return invalidAnswer('it has no image');
  return new GatewayError('upstream_content_filter', `No image was made: ${why}`);
}

function sumUsage(answers: readonly Answered[]): JsonObject | undefined {
  const sum = { input: 0, imageInput: 0, output: 0, imageOutput: 0 };
  for (const { body } of answers) {
    const usage = readUsage(body.usageMetadata);
    if (usage === undefined) return undefined;
    sum.input += usage.input;
    sum.imageInput += usage.imageInput ?? 0;
    sum.output += usage.output;
    sum.imageOutput += usage.imageOutput ?? 0;
  }
  const { input, imageInput, output, imageOutput } = sum;
  return {
    total_tokens: input + output,
    input_tokens: input,
    input_tokens_details: { text_tokens: input - imageInput, image_tokens: imageInput },
    output_tokens: output,
    output_tokens_details: { text_tokens: output - imageOutput, image_tokens: imageOutput },
  };
}
