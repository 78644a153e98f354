/** Numbers of what nodes share. */
import type { SharedNumbers } from '../core/shared-numbers.ts';
import { Family } from './exposition.ts';

export function sharedFamilies(numbers: SharedNumbers): Family[] {
  const of = (name: string, type: 'gauge' | 'counter', help: string, value: number) => {
    const family = new Family(name, type, help);
    family.with({}).value = value;
    return family;
  };
  return [
    of(
      'sluice_shared_up',
      'gauge',
      '1: limits are shared through Redis; 0: this node goes on with what it holds of them.',
      numbers.up ? 1 : 0,
    ),
    of('sluice_shared_counters', 'gauge', 'Counters of shared limits that are remembered.', numbers.counters),
    of('sluice_shared_slices', 'gauge', 'Those of them that a slice is held of.', numbers.slices),
    of(
      'sluice_shared_waited_total',
      'counter',
      'Times that a call waited to be granted more of a shared limit.',
      numbers.waited,
    ),
    of('sluice_shared_refused_total', 'counter', 'Times that it was not granted.', numbers.refused),
    of('sluice_shared_exchanges_total', 'counter', 'Messages to Redis about limits.', numbers.exchanges),
  ];
}
