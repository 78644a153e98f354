/** Numbers of what is asked beside a call: seconds against lateness, and shadows. */
import type { Observer } from '../core/observer.ts';
import { Family } from './exposition.ts';

export type BesideObserver = Pick<Observer, 'hedgeStarted' | 'hedgeWon' | 'shadowEnded' | 'shadowDropped'>;

/** @param labelOf a target's name, or what it is counted as where there are too many. */
export function createBesideMetrics(labelOf: (target: string) => string): {
  observer: BesideObserver;
  families: readonly Family[];
} {
  const hedges = new Family(
    'sluice_hedges_total',
    'counter',
    'Times a target was asked because another was late.',
  );
  const won = new Family('sluice_hedges_won_total', 'counter', 'Times it was faster than the other.');
  const shadows = new Family('sluice_shadows_total', 'counter', 'Shadow calls, by how they ended.');
  const dropped = new Family('sluice_shadows_dropped_total', 'counter', 'Shadow calls not made, by why.');
  const observer: BesideObserver = {
    hedgeStarted: (target) => void hedges.with({ target: labelOf(target) }).value++,
    hedgeWon: (target) => void won.with({ target: labelOf(target) }).value++,
    shadowEnded: ({ target, error }) =>
      void shadows.with({ target: labelOf(target), outcome: error?.kind ?? 'ok' }).value++,
    shadowDropped: (reason) => void dropped.with({ reason }).value++,
  };
  return { observer, families: [hedges, won, shadows, dropped] };
}
