/** Numbers of journal and store. */
import type { LedgerNumbers } from '../core/ledger-numbers.ts';
import { Family } from './exposition.ts';

export function ledgerFamilies(numbers: LedgerNumbers): Family[] {
  const up = new Family('sluice_store_up', 'gauge', '1: the store is written; 0: calls stay in the journal.');
  up.with({}).value = numbers.storeWritable ? 1 : 0;
  const backlog = new Family(
    'sluice_journal_backlog_bytes',
    'gauge',
    'Of the journal, not in the store yet; new calls are refused above journal.limit.',
  );
  backlog.with({}).value = numbers.backlogBytes;
  const behind = new Family(
    'sluice_journal_behind_seconds',
    'gauge',
    'Age, at most, of the oldest line of the journal that is not in the store yet.',
  );
  behind.with({}).value = numbers.behindMs / 1000;
  const unreadable = new Family(
    'sluice_journal_unreadable_total',
    'counter',
    'Lines of the journal that a crash of the machine has damaged.',
  );
  unreadable.with({}).value = numbers.unreadable;
  return [up, backlog, behind, unreadable];
}
