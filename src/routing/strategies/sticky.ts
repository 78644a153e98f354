/** TODO */
import type { Route, Sticky } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import type { Note } from './index.ts';

export function sticky(route: Sticky, _moment: Moment, _note?: Note): readonly Route[] {
  return route.children;
}
