/** After a crash: attempts that began and never ended are settled as interrupted, so that each is in the store once. */
import type { Dispatched, Settled } from '../core/record.ts';
import { emptyUsage } from '../core/usage.ts';
import { openEntries } from './entries.ts';
import type { JournalFile } from './journal.ts';
import { type Begun, readDispatched } from './lines.ts';
import { journalStart } from './segments.ts';

/**
 * Run it after the journal is opened and before the first call: whatever is open then belongs to a process that is
 * gone. Only segments with something unapplied or unsettled still exist, so only those are read. What an interrupted
 * attempt cost is not known: it is charged what was reserved for it, so that a crash gives no budget back, and marked
 * `estimated`, at the time it began. The last open attempt of a
 * call is its final one.
 * @returns how many attempts were interrupted.
 * @throws LedgerError when their lines cannot be written.
 */
export function recover(journal: JournalFile): number {
  const open = findOpen(journal.dataDir);
  const lastAttempt = new Map<string, number>();
  for (const { call, attempt } of open) {
    lastAttempt.set(call, Math.max(attempt, lastAttempt.get(call) ?? 0));
  }
  for (const dispatch of open) {
    journal.settled(dispatch, interrupted(dispatch, lastAttempt.get(dispatch.call) === dispatch.attempt));
  }
  return open.length;
}

function findOpen(dataDir: string): Dispatched[] {
  const open = new Map<string, Begun>();
  const reader = openEntries(dataDir);
  try {
    for (let part = reader.read(journalStart); part !== undefined; part = reader.read(part.next)) {
      for (const entry of part.entries) {
        if (entry?.kind === 'd') open.set(entry.id, entry);
        else if (entry?.kind === 's') open.delete(entry.id);
      }
    }
  } finally {
    reader.close();
  }
  return [...open.values()].map(readDispatched);
}

function interrupted(dispatch: Dispatched, final: boolean): Settled {
  return {
    call: dispatch.call,
    attempt: dispatch.attempt,
    at: dispatch.at,
    final,
    outcome: 'interrupted',
    upstreamStatus: 0,
    clientStatus: 0,
    firstByteMs: undefined,
    durationMs: 0,
    usage: emptyUsage(),
    estimated: true,
    // Where no price was known, nobody knows what it cost: what limits held for it is all there is to say.
    nanoUsd: unpriced(dispatch) ? undefined : dispatch.reservedNanoUsd,
    sellNanoUsd: dispatch.reservedSellNanoUsd,
    lost: [],
  };
}

function unpriced({ names, reservedNanoUsd }: Dispatched): boolean {
  return names.priceSource === '' && reservedNanoUsd === 0;
}
