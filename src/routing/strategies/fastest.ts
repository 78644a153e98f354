/** TODO */
import type { Fastest, Route } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import type { Note } from './index.ts';

export function fastest(route: Fastest, _moment: Moment, _note?: Note): readonly Route[] {
  return route.children;
}
