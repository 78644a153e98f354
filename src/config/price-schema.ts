/** A price, as the configuration has it. */
import { z } from 'zod';
import { amount, wholeLimit } from './values.ts';

const perMillionUsd = amount('must be USD per million tokens, from 0 to 10000', (n) => n >= 0 && n <= 10_000);
const oneUsd = amount('must be USD for one, from 0 to 1000', (n) => n >= 0 && n <= 1000);

/** Of tokens, in USD per million. */
const rates = {
  input: perMillionUsd.optional().describe('Input tokens.'),
  output: perMillionUsd.optional().describe('Output tokens.'),
  reasoning: perMillionUsd.optional().describe('Reasoning (default: output).'),
  cached: perMillionUsd.optional().describe('Input read from a cache (default: input).'),
  cache_read: perMillionUsd.optional().describe('The same as cached.'),
  cache_write: perMillionUsd.optional().describe('Input written to a cache (default: input).'),
  cache_write_1h: perMillionUsd
    .optional()
    .describe('Input written to a cache for an hour (default: cache_write).'),
  audio_input: perMillionUsd.optional().describe('Audio input (default: input).'),
  audio_output: perMillionUsd.optional().describe('Audio output (default: output).'),
  image_input: perMillionUsd.optional().describe('Image input (default: input).'),
  image_output: perMillionUsd.optional().describe('Image output (default: output).'),
};

const factor = amount('must be a factor of the price of tokens, from 0 to 20', (n) => n >= 0 && n <= 20);

/** A price as people state it. */
export const price = z
  .strictObject({
    ...rates,
    request: amount('must be USD per call, from 0 to 1000', (n) => n >= 0 && n <= 1000)
      .optional()
      .describe('Charge for each call beside its tokens, in USD.'),
    image: oneUsd.optional().describe('Each image made, in USD.'),
    images: z
      .record(z.string(), oneUsd)
      .optional()
      .describe('The same by quality, size or both (hd, 1024x1792, hd/1024x1792), where it differs.'),
    second: oneUsd.optional().describe('Each second of audio heard, in USD.'),
    character: perMillionUsd.optional().describe('Characters spoken, in USD per million.'),
    search: oneUsd.optional().describe('Each query over a list of documents, in USD.'),
    web_search: oneUsd
      .optional()
      .describe(
        'Each search of the web that a model makes for its answer, in USD (default: as the provider has it).',
      ),
    above: z
      .array(z.strictObject({ tokens: wholeLimit(1e9).describe('More input than this.'), ...rates }))
      .min(1)
      .optional()
      .describe('Rates of calls with much input, for all of their tokens; those left out stay as they are.'),
    tiers: z
      .record(z.string().min(1).toLowerCase(), factor)
      .optional()
      .describe('What part of the price of tokens is paid in a service tier, such as flex: 0.5.'),
  })
  .superRefine((value, context) => {
    const { input, output } = value;
    const mistake = (message: string, path: string[]) => context.addIssue({ code: 'custom', message, path });
    const stated = ownUnits.some((unit) => value[unit] !== undefined);
    if (input === undefined && output === undefined) {
      if (!stated) mistake(`says no price; write input and output, or one of ${ownUnits.join(', ')}`, []);
    } else if (output === undefined) mistake('is missing', ['output']);
    else if (input === undefined) mistake('is missing', ['input']);
  });

/** What a price may be stated in where tokens have none. */
const ownUnits = ['request', 'image', 'images', 'second', 'character', 'search'] as const;
