/** Money: usage → price → charge, in whole numbers only. */
import { hash } from 'node:crypto';
import { countedUnits, emptyUsage, type Units, type Usage } from './usage.ts';

/** 10⁻⁹ USD: what charges are counted in. */
export type NanoUsd = number;

/** Rates of one price tier, in pico-dollars (10⁻¹² USD) per token, so that every published price is a whole number. */
export interface Rates {
  input: number;
  cacheRead: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
  output: number;
  audioInput: number;
  audioOutput: number;
  /** Absent: images cost as much as other input and output. */
  imageInput?: number;
  imageOutput?: number;
  /** Absent: reasoning costs as much as other output. */
  reasoning?: number;
  /** Absent: it costs as much as cached text. */
  cacheReadAudio?: number;
  cacheReadImage?: number;
}

/** Rates of what is not sold by the token, in pico-dollars for one; absent: it has no price. */
export interface UnitRates {
  image?: number;
  /** Images whose price is their own: by quality, by size, or by both (`hd/1024x1792`). */
  images?: ReadonlyMap<string, number>;
  /** Of audio: prices by the hour are whole numbers, by the second they would not be. */
  hour?: number;
  character?: number;
  search?: number;
}

/** Rates of tokens. `tiers` (sorted by `above`, tokens of input) replace the base rates for the whole call. */
export interface TokenRates {
  rates: Rates;
  tiers: { above: number; rates: Rates }[];
}

/** A resolved price: what one target costs now. */
export interface Price extends TokenRates {
  /** Rates of answers that were given in another service tier than the usual one: `flex`. */
  serviceTiers?: ReadonlyMap<string, TokenRates>;
  /** Charge for each call, beside its tokens. */
  perCall: NanoUsd;
  /** Absent: nothing but tokens is sold. */
  units?: UnitRates;
  /** Pico-dollars for each search of the web that a model made for its answer; absent: that has no known price. */
  webSearch?: number;
  /** It is for all searches of an answer together. */
  webSearchOnce?: true;
  /** Where it came from, kept with every charge: `genai-prices@0.1.8`, `config`. */
  source: string;
  /** Which price it is, kept with every charge: the same for the same rates from the same source. */
  version: string;
}

/** A price that knows its version: twelve hex digits of the SHA-256 of what it says. */
export function withVersion(price: Omit<Price, 'version'>): Price {
  const version = hash('sha256', `${price.source}\n${writePrice(price)}`, 'hex').slice(0, 12);
  return Object.freeze({ ...price, version });
}

/** All a price says but its source and version, as JSON with members in order: the same text for the same price. */
export function writePrice(price: Omit<Price, 'version'>): string {
  return JSON.stringify(price, (name, value: unknown) => {
    if (name === 'source' || name === 'version' || typeof value !== 'object' || value === null) {
      return name === 'source' || name === 'version' ? undefined : value;
    }
    if (Array.isArray(value)) return value;
    const members = value instanceof Map ? [...value] : Object.entries(value);
    return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/**
 * What `counted` costs at `price`, in nano-dollars, rounded half up once at the end.
 * Cached and audio tokens are parts of `usage.input`/`usage.output` and are charged at their own rate instead.
 */
export function charge(counted: Usage, price: Price): NanoUsd {
  const { billed, units } = counted;
  const usage: Usage =
    billed === undefined ? counted : { ...emptyUsage(), ...billed, ...(units && { units }) };
  const sold = (counted.tier === undefined ? undefined : price.serviceTiers?.get(counted.tier)) ?? price;
  let rates = sold.rates;
  for (const tier of sold.tiers) if (usage.input > tier.above) rates = tier.rates;
  const cached = usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h;
  const fresh = Math.max(0, usage.input - cached);
  const cachedAudio = Math.min(usage.cacheReadAudio ?? 0, usage.cacheRead);
  const cachedImage = Math.min(usage.cacheReadImage ?? 0, usage.cacheRead - cachedAudio);
  const audioIn = Math.min(Math.max(0, usage.audioInput - cachedAudio), fresh);
  const imageIn = Math.min(Math.max(0, (usage.imageInput ?? 0) - cachedImage), fresh - audioIn);
  const imageOut = Math.min(usage.imageOutput ?? 0, Math.max(0, usage.output - usage.audioOutput));
  const textOut = Math.max(0, usage.output - usage.audioOutput - imageOut);
  const thought = Math.min(usage.reasoning, textOut);
  const pico =
    (fresh - audioIn - imageIn) * rates.input +
    (usage.cacheRead - cachedAudio - cachedImage) * rates.cacheRead +
    cachedAudio * (rates.cacheReadAudio ?? rates.cacheRead) +
    cachedImage * (rates.cacheReadImage ?? rates.cacheRead) +
    usage.cacheWrite5m * rates.cacheWrite5m +
    usage.cacheWrite1h * rates.cacheWrite1h +
    audioIn * rates.audioInput +
    imageIn * (rates.imageInput ?? rates.input) +
    (textOut - thought) * rates.output +
    thought * (rates.reasoning ?? rates.output) +
    usage.audioOutput * rates.audioOutput +
    imageOut * (rates.imageOutput ?? rates.output) +
    (usage.units === undefined || price.units === undefined ? 0 : chargeUnits(usage.units, price.units)) +
    searchesSold(counted, price) * (price.webSearch ?? 0);
  // Beyond 9,000 USD for one call doubles are no longer whole; such a call is an error of counting, not of charging.
  if (!Number.isSafeInteger(pico)) return Math.min(Math.floor(pico / 1000) + price.perCall, maxNanoUsd);
  return Math.floor((pico + 500) / 1000) + price.perCall;
}

function searchesSold({ webSearches = 0 }: Usage, { webSearchOnce }: Price): number {
  return webSearchOnce ? Math.min(webSearches, 1) : webSearches;
}

/**
 * A price for the sum of many requests, of which each may have been short, and have searched.
 */
export function priceOfMany(price: Price): Price {
  const { webSearchOnce: _, ...rest } = price;
  return { ...rest, tiers: [] };
}

/**
 * What requests of a batch cost together: their tokens at `share` of the usual price, their searches at all of it.
 * What a batch is paid less for is that it is one, whatever tier its answers name.
 */
export function chargeShare(counted: Usage, price: Price | undefined, share: number): NanoUsd | undefined {
  const { webSearches, tier: _, ...rest } = counted;
  const usual = chargeKnown(rest, price);
  if (usual === undefined || (webSearches && !covers(price!, counted))) return undefined;
  const searches = Math.floor((searchesSold(counted, price!) * (price!.webSearch ?? 0) + 500) / 1000);
  return Math.round(usual * share) + searches;
}

const msPerHour = 3_600_000;

/** In pico-dollars. */
function chargeUnits(units: Units, rates: UnitRates): number {
  let pico = 0;
  for (const unit of countedUnits) {
    const amount = units[unit] ?? 0;
    if (amount === 0) continue;
    const rate = rateOf(unit, units, rates) ?? 0;
    pico += unit === 'millisecond' ? Math.round(amount * (rate / msPerHour)) : amount * rate;
  }
  return pico;
}

/** In pico-dollars for one, or for an hour. */
function rateOf(
  unit: (typeof countedUnits)[number],
  { imageKind = '' }: Units,
  rates: UnitRates,
): number | undefined {
  if (unit === 'millisecond') return rates.hour;
  if (unit !== 'image') return rates[unit];
  const { images } = rates;
  if (images === undefined) return rates.image;
  const [quality = '', size = ''] = imageKind.split('/');
  return images.get(imageKind) ?? images.get(size) ?? images.get(quality) ?? rates.image;
}

/**
 * Whether `price` says what `usage` costs. One that is stated in units alone says nothing of tokens, and one in tokens
 * nothing of images or seconds, unless it is free. What nobody knows the price of is never taken for free.
 */
export function covers(price: Price, { input, output, units, webSearches }: Usage): boolean {
  // Who takes money for each call says so of all there is to it.
  if (webSearches && price.webSearch === undefined && price.perCall === 0) return false;
  if (price.units === undefined && units === undefined) return true;
  if (units !== undefined && price.units !== undefined) {
    for (const unit of countedUnits) {
      if (units[unit] && rateOf(unit, units, price.units) !== undefined) return true;
    }
  }
  if (price.perCall > 0) return true;
  const { rates } = price;
  const sold = rates.input > 0 || rates.output > 0;
  return sold ? input + output > 0 : price.units === undefined;
}

/** What `usage` costs; undefined where no price says so: it is `unpriced` then, never free. */
export function chargeKnown(usage: Usage, price: Price | undefined): NanoUsd | undefined {
  return price !== undefined && covers(price, usage) ? charge(usage, price) : undefined;
}

/** What `usage` costs of what is known: where one part of it has a price and another has none, the former. */
export function chargeKnownPart(usage: Usage, price: Price | undefined): NanoUsd {
  return price === undefined ? 0 : charge(usage, price);
}

/**
 * What is asked for something that costs `nanoUsd`, rounded half up.
 * @param partsPerMillion 1 000 000: the same; 1 200 000: a fifth more.
 */
export function sellPrice(nanoUsd: NanoUsd, partsPerMillion: number): NanoUsd {
  // In two steps: the product of both may be more than a double holds exactly.
  const millions = Math.floor(nanoUsd / 1e6);
  const rest = Math.round(((nanoUsd % 1e6) * partsPerMillion) / 1e6);
  return Math.min(millions * partsPerMillion + rest, maxNanoUsd);
}

/** Sums of charges stay whole below 2^53: a million USD is more than any call costs. */
const maxNanoUsd = 1e15;

/** Nano-dollars as a decimal string of USD, exact: 1234567 → "0.001234567". */
export function formatUsd(nano: NanoUsd | bigint): string {
  if (nano === 0) return '0';
  if (typeof nano === 'number' && nano > 0 && nano < 1e9)
    return `0.${withoutZeros(String(nano).padStart(9, '0'))}`;
  const value = BigInt(nano);
  const sign = value < 0n ? '-' : '';
  const digits = (value < 0n ? -value : value).toString().padStart(10, '0');
  const whole = digits.slice(0, -9);
  const fraction = withoutZeros(digits.slice(-9));
  return fraction === '' ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
}

/** Pico-dollars for one as a decimal string of USD, exact: 150000 → "0.00000015". */
export function formatRate(pico: number): string {
  const digits = String(Math.round(pico)).padStart(13, '0');
  const fraction = withoutZeros(digits.slice(-12));
  return fraction === '' ? digits.slice(0, -12) : `${digits.slice(0, -12)}.${fraction}`;
}

function withoutZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

/** USD as written by a person (config: 5, 0.25, "1.5") in nano-dollars, rounded to the nearest. */
export function parseUsd(usd: number | string): NanoUsd {
  return Math.round(Number(usd) * 1e9);
}

/** USD per million tokens in pico-dollars per token: the same number, shifted by 10⁶ (0.15 → 150 000). */
export function perMillion(usd: number): number {
  return Math.round(usd * 1e6);
}
