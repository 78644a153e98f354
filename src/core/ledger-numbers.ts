/** How journal and store do, in numbers. */
export interface LedgerNumbers {
  storeWritable: boolean;
  /** Of the journal, not in the store yet. */
  backlogBytes: number;
  /** The oldest of them was written no longer ago than that. */
  behindMs: number;
  /** Lines of the journal that could not be read since the start. */
  unreadable: number;
}
