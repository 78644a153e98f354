/** What limits have to count that they have not seen: what was spent before the start, or before they were made. */
import { compileLimit } from '../config/compile-limit.ts';
import { limit as limitSchema } from '../config/limit-schema.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { knownWindows, type Window } from '../config/window.ts';
import type { StoredKey } from '../core/tenants.ts';
import { countersOf } from './binding.ts';
import { type Counters, counterName, type Owner, type Spent } from './leases.ts';
import { windowStartMs } from './window.ts';

/** What is written down of what was spent since a moment, by owner, in parts of `partMs`. */
export type AskSpent = (
  of: 'keys' | 'shadows',
  stretch: { since: number; until: number | undefined; partMs: number | undefined },
) => Promise<Row[]>;

/** What every owner of limits has used of the windows that run at `nowMs`. @param until only what was used before. */
export async function spentBefore(
  ask: AskSpent,
  nowMs: number,
  windows: Iterable<Window> = knownWindows(),
  until?: number,
): Promise<Spent[]> {
  const spent: Spent[] = [];
  for (const window of windows) {
    if (!isRemembered(window)) continue;
    const stretch = { since: windowStartMs(window, nowMs), until, partMs: partOf(window) };
    const add = (owner: Owner, id: string | undefined, row: Row) => {
      if (id) spent.push(...amountsOf(row, owner, id, window, Math.min(nowMs, row.untilMs)));
    };
    for (const row of await ask('shadows', stretch)) add('mirror', row.model, row);
    for (const row of await ask('keys', stretch)) {
      add('key', row.key, row);
      add('team', row.team, row);
      add('organisation', row.organisation, row);
    }
  }
  return spent;
}

/** What was used a second ago is no matter any more. */
export function isRemembered({ per }: Window): boolean {
  return per !== 'second';
}

/** What slides is told part by part: of days and more by the hour, which counts whole until all of it has passed. */
function partOf({ per, sliding }: Window): number | undefined {
  if (!sliding) return undefined;
  return per === 'minute' ? 1000 : per === 'hour' ? 60_000 : 3_600_000;
}

interface Row {
  key?: string;
  team?: string;
  organisation?: string;
  model?: string;
  calls: number;
  tokens: number;
  nanoUsd: number;
  untilMs: number;
}

function amountsOf(row: Row, owner: Owner, id: string, window: Window, atMs: number): Spent[] {
  const whose = { owner, id, window, atMs };
  return [
    { ...whose, unit: 'requests', amount: row.calls },
    { ...whose, unit: 'tokens', amount: row.tokens },
    { ...whose, unit: 'usd', amount: row.nanoUsd },
  ];
}

/** Counters that may not have counted all of their windows, by name. */
export type FreshCounters = ReadonlyMap<string, Window | undefined>;

/** What limits count in that were changed, made, or may have been. @param keys that were changed in the store. */
export function freshCounters(before: Snapshot, after: Snapshot, keys: readonly StoredKey[]): FreshCounters {
  const old = countersOf(before);
  const fresh = new Map([...countersOf(after)].filter(([counter]) => !old.has(counter)));
  for (const [counter, window] of countersOfKeys(keys)) fresh.set(counter, window);
  return fresh;
}

/** Of keys of the store, which are understood only when they are used: their windows are known from now on. */
export function countersOfKeys(keys: readonly StoredKey[]): Map<string, Window | undefined> {
  const counters = new Map<string, Window | undefined>();
  for (const { name, document } of keys) {
    if (!Array.isArray(document.limits)) continue;
    for (const written of document.limits) {
      const { data } = limitSchema.safeParse(written);
      if (data === undefined) continue;
      const { unit, window } = compileLimit(data);
      counters.set(counterName('key', name, unit, window), window);
    }
  }
  return counters;
}

/**
 * Has limits that were not there before begin with what was spent already. What runs while they are made, by limits that
 * are no more, is counted by neither.
 * @param flushed resolves when all that was settled until now is in the store.
 */
export async function catchUp(
  fresh: FreshCounters,
  counters: Counters,
  ask: AskSpent,
  flushed: () => Promise<void>,
): Promise<void> {
  const windows = new Set<Window>();
  for (const window of fresh.values()) if (window !== undefined) windows.add(window);
  // What they have counted since they are there is in the store as well, once all is.
  const counted = new Map<string, number>();
  for (const [counter, window] of fresh)
    counted.set(counter, counters.open(counter, window, Date.now()).used(Date.now()));
  await flushed();
  const nowMs = Date.now();
  const missed: Spent[] = [];
  for (const spent of await spentBefore(ask, nowMs, windows)) {
    const counter = counterName(spent.owner, spent.id, spent.unit, spent.window);
    if (!fresh.has(counter)) continue;
    const known = counted.get(counter) ?? 0;
    counted.set(counter, Math.max(0, known - spent.amount));
    if (spent.amount > known) missed.push({ ...spent, amount: spent.amount - known });
  }
  counters.restore(missed, nowMs);
}
