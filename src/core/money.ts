/** Money: usage → price → charge, in whole numbers only. */
import type { Usage } from './usage.ts';

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
}

/** A resolved price: what one target costs now. `tiers` (sorted by `above`) replace the base rates for the whole call. */
export interface Price {
  rates: Rates;
  tiers: { above: number; rates: Rates }[];
  /** Charge for each call, beside its tokens. */
  perCall: NanoUsd;
  /** Where it came from and which version, kept with every charge: `genai-prices@0.1.8`, `config`. */
  source: string;
}

/**
 * What `usage` costs at `price`, in nano-dollars, rounded half up once at the end.
 * Cached and audio tokens are parts of `usage.input`/`usage.output` and are charged at their own rate instead.
 */
export function charge(usage: Usage, price: Price): NanoUsd {
  let rates = price.rates;
  for (const tier of price.tiers) if (usage.input > tier.above) rates = tier.rates;
  const cached = usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h;
  const audioIn = Math.min(usage.audioInput, Math.max(0, usage.input - cached));
  const textIn = Math.max(0, usage.input - cached - audioIn);
  const textOut = Math.max(0, usage.output - usage.audioOutput);
  const pico =
    textIn * rates.input +
    usage.cacheRead * rates.cacheRead +
    usage.cacheWrite5m * rates.cacheWrite5m +
    usage.cacheWrite1h * rates.cacheWrite1h +
    audioIn * rates.audioInput +
    textOut * rates.output +
    usage.audioOutput * rates.audioOutput;
  // Beyond 9,000 USD for one call doubles are no longer whole; such a call is an error of counting, not of charging.
  if (!Number.isSafeInteger(pico)) return Math.min(Math.floor(pico / 1000), maxNanoUsd);
  return Math.floor((pico + 500) / 1000) + price.perCall;
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
