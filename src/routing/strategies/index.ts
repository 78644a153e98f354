/** How a route's children are ordered: pure functions, so that a dry run and a replay run the very same code. */
import type { Route, Strategy } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import { cheapest } from './cheapest.ts';
import type { Bond } from './conversation.ts';
import { fastest } from './fastest.ts';
import { leastBusy } from './least-busy.ts';
import { split } from './split.ts';
import { sticky } from './sticky.ts';
import { when } from './when.ts';

/** Told what a strategy thought of its children, for those who ask why: the unit is the strategy's own. */
export type Note = (child: Route, score: number) => void;

/**
 * A strategy's children, in the order in which they are to be tried; those that are not to be tried are left out.
 * @param bond what it wants answered by one target: see `bindsBy`.
 */
export function order(route: Strategy, moment: Moment, bond?: Bond, note?: Note): readonly Route[] {
  switch (route.type) {
    case 'fallback':
    case 'hedge':
    case 'mirror':
      return route.children;
    case 'split':
      return split(route, moment, note);
    case 'cheapest':
      return cheapest(route, moment, bond, note);
    case 'fastest':
      return fastest(route, moment, bond, note);
    case 'least_busy':
      return leastBusy(route, moment, bond, note);
    case 'sticky':
      return sticky(route, moment, bond, note);
    case 'when':
      return when(route, moment);
  }
}
