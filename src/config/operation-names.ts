/** What can be asked for here, by the names that lists of operations and usage know it by. */
import { operations } from '../dialects/operations/index.ts';

export const operationNames: readonly string[] = [
  'chat',
  ...new Set([...operations.values()].map(({ name }) => name)),
  'realtime',
  'files',
  'batches',
];
