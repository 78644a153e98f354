/** Attempts as the store has them, turned back into what was recorded. */
import type { Names, Outcome, Settled } from '../core/record.ts';
import { countedUnits, rareCounts, type Units, type Usage } from '../core/usage.ts';
import type { RecordedAttempt } from './calls.ts';

export function namesOf(row: RecordedAttempt): Names {
  const { key, team, organisation, model, target, provider, tags } = row;
  const { price_source: priceSource, price_version: priceVersion, operation, why } = row;
  return {
    ...{ key, team, organisation, model, target, provider, tags },
    priceSource,
    ...(priceVersion !== '' && { priceVersion }),
    ...(operation !== 'chat' && { operation }),
    ...(why !== '' && { why }),
  };
}

export function settledOf(row: RecordedAttempt): Settled {
  return {
    call: row.call,
    attempt: Number(row.attempt),
    at: Number(row.at),
    final: Number(row.final) === 1,
    outcome: row.outcome as Outcome,
    upstreamStatus: Number(row.upstream_status),
    clientStatus: Number(row.client_status),
    firstByteMs: row.first_byte_ms === null ? undefined : Number(row.first_byte_ms),
    durationMs: Number(row.duration_ms),
    usage: usageOf(row),
    estimated: Number(row.estimated) === 1,
    nanoUsd: row.nano_usd === null ? undefined : Number(row.nano_usd),
    ...(row.sell_nano_usd !== null && { sellNanoUsd: Number(row.sell_nano_usd) }),
    lost: row.lost === '' ? [] : row.lost.split('\n'),
  };
}

function usageOf(row: RecordedAttempt): Usage {
  const usage: Usage = {
    input: Number(row.input),
    cacheRead: Number(row.cache_read),
    cacheWrite5m: Number(row.cache_write_5m),
    cacheWrite1h: Number(row.cache_write_1h),
    output: Number(row.output),
    reasoning: Number(row.reasoning),
    audioInput: Number(row.audio_input),
    audioOutput: Number(row.audio_output),
  };
  if (row.units === '') return usage;
  const more = JSON.parse(row.units) as Units & Usage;
  for (const name of rareCounts) if (more[name] !== undefined) usage[name] = more[name];
  if (more.billed !== undefined) usage.billed = more.billed;
  if (more.tier !== undefined) usage.tier = more.tier;
  const units: Units = {};
  for (const unit of countedUnits) if (more[unit] !== undefined) units[unit] = more[unit];
  if (more.imageKind !== undefined) units.imageKind = more.imageKind;
  return Object.keys(units).length === 0 ? usage : { ...usage, units };
}
