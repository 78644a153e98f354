/** TODO */
import type { Cheapest, Route } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import type { Note } from './index.ts';

export function cheapest(route: Cheapest, _moment: Moment, _note?: Note): readonly Route[] {
  return route.children;
}
