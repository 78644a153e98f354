/**
 * What a target costs, as whole numbers. Prices are read from the price list once, when a snapshot is compiled: a look-up
 * takes some microseconds and the list holds binary floats, so neither belongs on a call's path.
 */
import { calcPrice, findProvider } from '@pydantic/genai-prices';
import manifest from '../../package.json' with { type: 'json' };
import type { Price, Rates, UnitRates } from '../core/money.ts';
import { parseUsd, perMillion, withVersion } from '../core/money.ts';
import type { CatalogueEntry } from './entry.ts';
import { tierFactors, unitPrices, type WebSearchPrice, webSearchPrices } from './unit-prices.ts';

/**
 * Prices as a person states them: USD per million tokens and characters, USD for one of all else. Tokens have no price
 * where neither `input` nor `output` is stated.
 */
export interface StatedPrice extends StatedRates {
  /** For each call. */
  request?: number;
  image?: number;
  /** Images whose price is their own, by `quality`, `size` or `quality/size`. */
  images?: Readonly<Record<string, number>>;
  /** Of audio that is heard. */
  second?: number;
  /** That is spoken. */
  character?: number;
  /** A query over a list of documents. */
  search?: number;
  /** A search of the web that the model made for its answer. Where none is stated, that of the provider holds. */
  web_search?: number;
  /** Rates of calls with more tokens of input than these; what is left out stays as it is. */
  above?: readonly ({ tokens: number } & StatedRates)[];
  /** What part of the price of tokens is paid in a service tier; those left out are as the provider has them. */
  tiers?: Readonly<Record<string, number>>;
}

/** Rates of tokens. */
export interface StatedRates {
  input?: number;
  output?: number;
  reasoning?: number;
  cached?: number;
  cache_read?: number;
  cache_write?: number;
  cache_write_1h?: number;
  audio_input?: number;
  audio_output?: number;
  image_input?: number;
  image_output?: number;
}

const listSource = `genai-prices@${manifest.dependencies['@pydantic/genai-prices']}`;
/**
 * A one-hour cache write of Claude costs twice the input, at whatever host, where the list says nothing of it.
 * https://platform.claude.com/docs/en/about-claude/pricing
 */
const hourWrite = { models: /claude/, factor: 2 };
const dayMs = 86_400_000;

/**
 * @param override a price that was stated for this target, which wins.
 * @param at the moment the price holds (some prices depend on the date or the hour), in milliseconds since 1970.
 * @param statedIn where the override is from.
 * @returns undefined when no price is known: never a silent zero.
 */
export function resolvePrice(
  entry: CatalogueEntry | undefined,
  model: string,
  override: StatedPrice | undefined,
  at: number,
  statedIn: 'config' | 'store' = 'config',
): Price | undefined {
  const usual = extrasOf(entry?.prices, model);
  if (override !== undefined) return statedPrice(override, statedIn, usual);
  if (entry?.price !== undefined) return statedPrice(entry.price, 'mock', usual);
  if (entry?.prices === undefined) return undefined;
  const known = unitPrices[entry.prices]?.find(({ models }) => models.test(model));
  return known === undefined
    ? listedPrice(entry.prices, model, at, usual)
    : statedPrice(known.price, 'built-in', usual);
}

/** What holds of all models of a provider, or of many of them, whoever says what their tokens cost. */
interface Extras {
  search: WebSearchPrice | undefined;
  tiers: Readonly<Record<string, number>>;
}

const noExtras: Extras = { search: undefined, tiers: {} };

function extrasOf(listId: string | undefined, model: string): Extras {
  if (listId === undefined) return noExtras;
  return {
    search: webSearchPrices[listId]?.find(({ models }) => models.test(model)),
    tiers: tierFactors[listId] ?? {},
  };
}

/** A price in full: with its rates in every service tier, its searches, and its version. */
function complete(
  price: Omit<Price, 'version'>,
  { search, tiers }: Extras,
  webSearch: number | undefined,
): Price {
  const { rates, tiers: contextTiers } = price;
  return withVersion({
    ...price,
    ...(Object.keys(tiers).length > 0 && {
      serviceTiers: new Map(
        Object.entries(tiers).map(([tier, factor]) => [
          tier,
          {
            rates: times(rates, factor),
            tiers: contextTiers.map((each) => ({ above: each.above, rates: times(each.rates, factor) })),
          },
        ]),
      ),
    }),
    ...(webSearch !== undefined && { webSearch: perOne(webSearch) }),
    ...(webSearch === undefined &&
      search !== undefined && {
        webSearch: perOne(search.usd),
        ...(search.once && { webSearchOnce: true as const }),
      }),
  });
}

function times(rates: Rates, factor: number): Rates {
  return Object.fromEntries(
    Object.entries(rates).map(([name, pico]) => [name, Math.round(pico * factor)]),
  ) as unknown as Rates;
}

/** What is held where no price is known: it is charged to limits, and is no price of anything. */
export function fallbackPrice(price: StatedPrice): Price {
  return statedPrice(price, 'unpriced', noExtras);
}

function statedPrice(price: StatedPrice, source: string, usual: Extras): Price {
  const units = unitRates(price);
  const { above = [] } = price;
  return complete(
    {
      rates: statedRates(price),
      tiers: [...above]
        .sort((a, b) => a.tokens - b.tokens)
        .map(({ tokens, ...rates }) => ({ above: tokens, rates: statedRates({ ...price, ...rates }) })),
      perCall: parseUsd(price.request ?? 0),
      ...(units === undefined ? {} : { units }),
      source,
    },
    { search: usual.search, tiers: { ...usual.tiers, ...price.tiers } },
    price.web_search,
  );
}

function statedRates(price: StatedRates): Rates {
  return ratesOf({
    input: price.input ?? 0,
    output: price.output ?? 0,
    reasoning: price.reasoning,
    cacheRead: price.cached ?? price.cache_read,
    cacheWrite5m: price.cache_write,
    cacheWrite1h: price.cache_write_1h,
    audioInput: price.audio_input,
    audioOutput: price.audio_output,
    imageInput: price.image_input,
    imageOutput: price.image_output,
  });
}

/** Undefined where nothing but tokens and calls is priced. */
function unitRates({ image, images, second, character, search }: StatedPrice): UnitRates | undefined {
  const rates: UnitRates = {};
  if (image !== undefined) rates.image = perOne(image);
  if (images !== undefined) {
    rates.images = new Map(Object.entries(images).map(([kind, usd]) => [kind, perOne(usd)]));
  }
  if (second !== undefined) rates.hour = perOne(second * 3600);
  if (character !== undefined) rates.character = perMillion(character);
  if (search !== undefined) rates.search = perOne(search);
  return Object.keys(rates).length === 0 ? undefined : rates;
}

/** USD for one in pico-dollars. */
function perOne(usd: number): number {
  return Math.round(usd * 1e12);
}

/** Tokens that request and answer may have together, where the price list says so. */
export function contextLengthOf(entry: CatalogueEntry | undefined, model: string): number | undefined {
  if (entry?.prices === undefined) return undefined;
  return calcPrice({}, model, { providerId: entry.prices })?.model.context_window;
}

type ListedRate = number | { base: number; tiers: { start: number; price: number }[] } | undefined;

function listedPrice(listId: string, model: string, at: number, usual: Extras): Price | undefined {
  const found = calcPrice({}, model, { providerId: listId, timestamp: new Date(at) });
  const listed: Record<string, ListedRate> | undefined = found?.model_price;
  if (listed === undefined) return undefined;
  const free = model.endsWith(':free') && Object.keys(listed).length === 0;
  const perHour = listed.input_audio_hours ?? listed.audio_hours;
  const units = typeof perHour === 'number' ? unitRates({ second: perHour / 3600 }) : undefined;
  // Prices of other things only (pages of documents): what a call costs is not known.
  if (!free && listed.input_mtok === undefined && units === undefined) return undefined;
  const starts = new Set<number>();
  for (const rate of Object.values(listed)) {
    if (typeof rate === 'object') for (const tier of rate.tiers) starts.add(tier.start);
  }
  const perThousandCalls = listed.requests_kcount;
  const perThousandSearches = listed.web_searches_kcount;
  return complete(
    {
      rates: listedRates(model, listed, 0),
      tiers: [...starts]
        .sort((a, b) => a - b)
        .map((above) => ({ above, rates: listedRates(model, listed, above + 1) })),
      perCall: typeof perThousandCalls === 'number' ? parseUsd(perThousandCalls / 1000) : 0,
      ...(units === undefined ? {} : { units }),
      source: listSource,
    },
    usual,
    typeof perThousandSearches === 'number' ? perThousandSearches / 1000 : undefined,
  );
}

function listedRates(model: string, listed: Record<string, ListedRate>, inputTokens: number): Rates {
  const rate = (name: string): number | undefined => {
    const value = listed[name];
    if (typeof value !== 'object') return value;
    let price = value.base;
    for (const tier of value.tiers) if (inputTokens > tier.start) price = tier.price;
    return price;
  };
  const input = rate('input_mtok') ?? 0;
  const hourly = hourWrite.models.test(model) ? input * hourWrite.factor : undefined;
  return ratesOf({
    input,
    output: rate('output_mtok') ?? input,
    reasoning: rate('output_reasoning_mtok'),
    cacheRead: rate('cache_read_mtok'),
    cacheWrite5m: rate('cache_write_mtok'),
    cacheWrite1h: rate('cache_write_1h_mtok') ?? hourly,
    audioInput: rate('input_audio_mtok'),
    audioOutput: rate('output_audio_mtok'),
    imageInput: rate('input_image_mtok'),
    imageOutput: rate('output_image_mtok'),
    cacheReadAudio: rate('cache_audio_read_mtok'),
    cacheReadImage: rate('cache_image_read_mtok'),
  });
}

/** USD per million to pico-dollars per token; what is not stated costs as much as plain input or output. */
function ratesOf(
  usd: { input: number; output: number } & { [rate in keyof Rates]?: number | undefined },
): Rates {
  const cacheWrite5m = usd.cacheWrite5m ?? usd.input;
  const { reasoning, imageInput, imageOutput, cacheReadAudio, cacheReadImage } = usd;
  return {
    input: perMillion(usd.input),
    cacheRead: perMillion(usd.cacheRead ?? usd.input),
    cacheWrite5m: perMillion(cacheWrite5m),
    cacheWrite1h: perMillion(usd.cacheWrite1h ?? cacheWrite5m),
    output: perMillion(usd.output),
    audioInput: perMillion(usd.audioInput ?? usd.input),
    audioOutput: perMillion(usd.audioOutput ?? usd.output),
    ...(reasoning === undefined ? {} : { reasoning: perMillion(reasoning) }),
    ...(imageInput === undefined ? {} : { imageInput: perMillion(imageInput) }),
    ...(imageOutput === undefined ? {} : { imageOutput: perMillion(imageOutput) }),
    ...(cacheReadAudio === undefined ? {} : { cacheReadAudio: perMillion(cacheReadAudio) }),
    ...(cacheReadImage === undefined ? {} : { cacheReadImage: perMillion(cacheReadImage) }),
  };
}

/**
 * When the next price in the lists of `entries` changes after `at`: a snapshot is compiled anew then.
 * Some models cost more at certain hours, others from a certain date on. Undefined: none will change.
 */
export function nextPriceChange(entries: Iterable<CatalogueEntry>, at: number): number | undefined {
  const startOfDay = Math.floor(at / dayMs) * dayMs;
  let next: number | undefined;
  const consider = (moment: number): void => {
    if (moment > at && (next === undefined || moment < next)) next = moment;
  };
  for (const { prices: listId } of entries) {
    for (const { prices } of listId === undefined ? [] : modelsOf(listId)) {
      if (!Array.isArray(prices)) continue;
      for (const { constraint } of prices) {
        if (constraint?.type === 'start_date') consider(Date.parse(constraint.start_date));
        if (constraint?.type !== 'time_of_date') continue;
        for (const time of [constraint.start_time, constraint.end_time]) {
          const moment = Date.parse(`${new Date(startOfDay).toISOString().slice(0, 10)}T${time}`);
          for (const days of [-1, 0, 1, 2]) consider(moment + days * dayMs);
        }
      }
    }
  }
  return next;
}

/** The models of a list and of those that stand in where it has none. */
function modelsOf(listId: string): readonly ListedModel[] {
  const list = findProvider({ providerId: listId });
  const others = list?.fallback_model_providers ?? [];
  return [listId, ...others].flatMap((id) => findProvider({ providerId: id })?.models ?? []);
}

type ListedModel = NonNullable<ReturnType<typeof findProvider>>['models'][number];
