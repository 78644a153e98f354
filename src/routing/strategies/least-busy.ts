/** TODO */
import type { LeastBusy, Route } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import type { Note } from './index.ts';

export function leastBusy(route: LeastBusy, _moment: Moment, _note?: Note): readonly Route[] {
  return route.children;
}
