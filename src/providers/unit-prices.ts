/** Prices of what is not sold by the token, and of models that the price list does not know: data, by its list ids. */
import type { StatedPrice } from './prices.ts';

interface UnitPrice {
  models: RegExp;
  price: StatedPrice;
}

/** https://platform.openai.com/docs/pricing; Azure sells the same at the same prices, under shorter names. */
const openai: readonly UnitPrice[] = [
  { models: /^whisper(-1)?$/, price: { second: 0.0001 } },
  { models: /^tts(-1)?-hd/, price: { character: 30 } },
  { models: /^tts\b/, price: { character: 15 } },
  {
    models: /^dall-e-3/,
    price: {
      image: 0.04,
      images: {
        '1024x1792': 0.08,
        '1792x1024': 0.08,
        'hd/1024x1024': 0.08,
        'hd/1024x1792': 0.12,
        'hd/1792x1024': 0.12,
        hd: 0.08,
      },
    },
  },
  { models: /^dall-e-2/, price: { image: 0.02, images: { '256x256': 0.016, '512x512': 0.018 } } },
  { models: /moderation/, price: { input: 0, output: 0 } },
];

const rerank: StatedPrice = { search: 0.002 };

export const unitPrices: Readonly<Record<string, readonly UnitPrice[]>> = {
  // https://aws.amazon.com/bedrock/pricing/
  aws: [
    { models: /titan-embed-text-v2/, price: { input: 0.02, output: 0 } },
    { models: /cohere\.embed-v4/, price: { input: 0.12, output: 0 } },
    { models: /cohere\.embed-(english|multilingual)-v3/, price: { input: 0.1, output: 0 } },
    { models: /cohere\.rerank/, price: rerank },
    { models: /amazon\.rerank/, price: { search: 0.001 } },
  ],
  azure: openai,
  // https://cohere.com/pricing: a search is one query over up to 100 documents.
  cohere: [
    { models: /^rerank-v4\.0-pro/, price: { search: 0.0025 } },
    { models: /^rerank-(v4\.0-fast|v3\.5|(english|multilingual)-v3\.0)/, price: rerank },
    { models: /^embed-(english|multilingual)-(light-)?v3\.0/, price: { input: 0.1, output: 0 } },
  ],
  // https://ai.google.dev/gemini-api/docs/pricing
  google: [
    { models: /^imagen-4\.0-fast/, price: { image: 0.02 } },
    { models: /^imagen-4\.0-ultra/, price: { image: 0.06 } },
    { models: /^imagen-4\.0/, price: { image: 0.04 } },
    { models: /^imagen-3\.0-fast/, price: { image: 0.02 } },
    { models: /^imagen-3\.0/, price: { image: 0.03 } },
  ],
  openai,
};

/** What a search of the web costs that a model makes for its answer, in USD. */
export interface WebSearchPrice {
  models: RegExp;
  usd: number;
  /** For all searches of an answer together. */
  once?: boolean;
}

/** Where the price list does not say it of the model. What a provider gives away for free is charged all the same. */
export const webSearchPrices: Readonly<Record<string, readonly WebSearchPrice[]>> = {
  // https://platform.claude.com/docs/en/about-claude/pricing#web-search-tool
  anthropic: [{ models: /./, usd: 0.01 }],
  // https://ai.google.dev/gemini-api/docs/pricing: up to Gemini 2.5 for a prompt, from Gemini 3 on for a query.
  google: [
    { models: /^gemini-[12]\b/, usd: 0.035, once: true },
    { models: /^gemini-/, usd: 0.014 },
  ],
  // https://developers.openai.com/api/docs/pricing
  openai: [{ models: /./, usd: 0.01 }],
  // https://docs.x.ai/docs/models: what its answers say they cost agrees.
  'x-ai': [{ models: /./, usd: 0.005 }],
};

/**
 * What part of the price of tokens is paid in service tiers where it is the same for all models. `priority` costs more
 * by another factor for every model: the configuration has to say it.
 */
export const tierFactors: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  // https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/flex-processing
  azure: { flex: 0.5 },
  // https://ai.google.dev/gemini-api/docs/flex-inference
  google: { flex: 0.5 },
  // https://developers.openai.com/api/docs/guides/flex-processing: as requests of a batch.
  openai: { flex: 0.5 },
};
