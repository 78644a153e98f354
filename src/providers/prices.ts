/**
 * What a target costs, as whole numbers. Prices are read from the price list once, when a snapshot is compiled: a look-up
 * takes some microseconds and the list holds binary floats, so neither belongs on a call's path.
 */
import { calcPrice, findProvider } from '@pydantic/genai-prices';
import manifest from '../../package.json' with { type: 'json' };
import type { Price, Rates } from '../core/money.ts';
import { parseUsd, perMillion } from '../core/money.ts';
import type { CatalogueEntry } from './catalog.ts';

/** Prices as a person states them: USD per million tokens, `request` in USD per call. */
export interface StatedPrice {
  input: number;
  output: number;
  cached?: number;
  cache_read?: number;
  cache_write?: number;
  cache_write_1h?: number;
  audio_input?: number;
  audio_output?: number;
  request?: number;
}

const listSource = `genai-prices@${manifest.dependencies['@pydantic/genai-prices']}`;
/** Anthropic bills a one-hour cache write at twice the input rate, where the list says nothing of it. */
const hourWriteFactor: Readonly<Record<string, number>> = { anthropic: 2 };
const dayMs = 86_400_000;

/**
 * @param override the configuration's price for this target, which wins.
 * @param at the moment the price holds (some prices depend on the date or the hour), in milliseconds since 1970.
 * @returns undefined when no price is known: never a silent zero.
 */
export function resolvePrice(
  entry: CatalogueEntry | undefined,
  model: string,
  override: StatedPrice | undefined,
  at: number,
): Price | undefined {
  if (override !== undefined) return statedPrice(override, 'config');
  if (entry?.price !== undefined) return statedPrice(entry.price, 'mock');
  if (entry?.prices === undefined) return undefined;
  return listedPrice(entry.prices, model, at);
}

function statedPrice(price: StatedPrice, source: string): Price {
  return {
    rates: ratesOf({
      input: price.input,
      output: price.output,
      cacheRead: price.cached ?? price.cache_read,
      cacheWrite5m: price.cache_write,
      cacheWrite1h: price.cache_write_1h,
      audioInput: price.audio_input,
      audioOutput: price.audio_output,
    }),
    tiers: [],
    perCall: parseUsd(price.request ?? 0),
    source,
  };
}

type ListedRate = number | { base: number; tiers: { start: number; price: number }[] } | undefined;

function listedPrice(listId: string, model: string, at: number): Price | undefined {
  const found = calcPrice({}, model, { providerId: listId, timestamp: new Date(at) });
  const listed: Record<string, ListedRate> | undefined = found?.model_price;
  if (listed === undefined) return undefined;
  const free = model.endsWith(':free') && Object.keys(listed).length === 0;
  // Prices of other things only (minutes of audio, pages): what a token costs is not known.
  if (!free && listed.input_mtok === undefined) return undefined;
  const starts = new Set<number>();
  for (const rate of Object.values(listed)) {
    if (typeof rate === 'object') for (const tier of rate.tiers) starts.add(tier.start);
  }
  const perThousandCalls = listed.requests_kcount;
  return {
    rates: listedRates(listId, listed, 0),
    tiers: [...starts]
      .sort((a, b) => a - b)
      .map((above) => ({ above, rates: listedRates(listId, listed, above + 1) })),
    perCall: typeof perThousandCalls === 'number' ? parseUsd(perThousandCalls / 1000) : 0,
    source: listSource,
  };
}

function listedRates(listId: string, listed: Record<string, ListedRate>, inputTokens: number): Rates {
  const rate = (name: string): number | undefined => {
    const value = listed[name];
    if (typeof value !== 'object') return value;
    let price = value.base;
    for (const tier of value.tiers) if (inputTokens > tier.start) price = tier.price;
    return price;
  };
  const input = rate('input_mtok') ?? 0;
  const factor = hourWriteFactor[listId];
  return ratesOf({
    input,
    output: rate('output_mtok') ?? input,
    cacheRead: rate('cache_read_mtok'),
    cacheWrite5m: rate('cache_write_mtok'),
    cacheWrite1h: rate('cache_write_1h_mtok') ?? (factor === undefined ? undefined : input * factor),
    audioInput: rate('input_audio_mtok'),
    audioOutput: rate('output_audio_mtok'),
  });
}

/** USD per million to pico-dollars per token; what is not stated costs as much as plain input or output. */
function ratesOf(usd: { input: number; output: number } & { [rate in keyof Rates]?: number }): Rates {
  const cacheWrite5m = usd.cacheWrite5m ?? usd.input;
  return {
    input: perMillion(usd.input),
    cacheRead: perMillion(usd.cacheRead ?? usd.input),
    cacheWrite5m: perMillion(cacheWrite5m),
    cacheWrite1h: perMillion(usd.cacheWrite1h ?? cacheWrite5m),
    output: perMillion(usd.output),
    audioInput: perMillion(usd.audioInput ?? usd.input),
    audioOutput: perMillion(usd.audioOutput ?? usd.output),
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
    const models = listId === undefined ? [] : (findProvider({ providerId: listId })?.models ?? []);
    for (const { prices } of models) {
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
