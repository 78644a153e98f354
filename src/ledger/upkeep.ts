/** What an operator is told of journal and store: whether calls are taken, how far the store is behind, and when to worry. */
import { hostname } from 'node:os';
import type { Alerts } from '../core/alert.ts';
import type { LedgerNumbers } from '../core/ledger-numbers.ts';
import type { ApplierState } from './applier.ts';
import type { JournalFile } from './journal.ts';

/** How much may be missing in the store. */
export interface Bounds {
  limitBytes: number;
  alarmBytes: number;
}

export interface Upkeep {
  /** The applier tells how far it is. */
  onState(state: ApplierState): void;
  /** Why no call can be taken, as a sentence; undefined: calls are taken. */
  refusal(): string | undefined;
  /** What is wrong though calls are taken, as a sentence. */
  trouble(): string | undefined;
  numbers(nowMs: number): LedgerNumbers;
}

/** @param bounds those in force, asked for whenever something has changed. */
export function createUpkeep(journal: JournalFile, alerts: Alerts, bounds: () => Bounds): Upkeep {
  let state: ApplierState | undefined;
  let appliedAt = Date.now();
  const node = `${hostname()}:${journal.dataDir}`;
  journal.limit(bounds().limitBytes);

  return {
    onState(now) {
      state = now;
      appliedAt = now.appliedAt || appliedAt;
      const { alarmBytes, limitBytes } = bounds();
      journal.limit(limitBytes);
      journal.applied(now.position);
      const at = Date.now();
      if (!now.ok) alerts.raise({ kind: 'store', reason: now.error ?? '', at });
      const backlogBytes = journal.backlogBytes();
      if (backlogBytes > alarmBytes)
        alerts.raise({ kind: 'journal', node, backlogBytes, alarmBytes, limitBytes, at });
    },
    refusal() {
      if (journal.full)
        return `the store cannot be written, and the journal is full (${journal.backlogBytes()} bytes): new calls are refused`;
      return journal.hasRoom() ? undefined : 'the journal cannot be written: calls are refused';
    },
    trouble() {
      if (state?.ok !== false) return undefined;
      return `the store cannot be written: calls go on, and the journal holds ${journal.backlogBytes()} bytes for it`;
    },
    numbers(nowMs) {
      const backlogBytes = journal.backlogBytes();
      const behindMs = backlogBytes === 0 ? 0 : Math.max(0, nowMs - appliedAt);
      return {
        storeWritable: state?.ok !== false,
        backlogBytes,
        behindMs,
        unreadable: state?.unreadable ?? 0,
      };
    },
  };
}
