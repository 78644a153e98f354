/** What nodes share, in numbers. */
export interface SharedNumbers {
  /** What they share it through is there, and limits are granted through it. */
  up: boolean;
  /** Counters of limits that this node remembers, and those of them that it holds a slice of. */
  counters: number;
  slices: number;
  /** Calls that waited to be granted more, and those that were not, since the start. */
  waited: number;
  refused: number;
  /** Messages about limits since the start. */
  exchanges: number;
}
