/** What belongs together, and whether a step leaves it together. */
import type { Step } from './plan.ts';

/** `new`: nobody is known to have answered before; `kept`: the same target as last time; `moved`: another one. */
export type Fate = 'new' | 'kept' | 'moved';

/** Undefined: no strategy on the step's way keeps anything together. */
export function fateOf({ target, trail }: Step): Fate | undefined {
  let fate: Fate | undefined;
  for (let at = trail; at !== undefined; at = at.above) {
    if (at.bond === undefined) continue;
    if (at.bond.kept === target.id) return 'kept';
    if (at.bond.kept !== undefined) fate = 'moved';
    else fate ??= 'new';
  }
  return fate;
}

/** Names of all that the step's strategies want answered by its target from now on. */
export function bondNames({ trail }: Step): string[] {
  const names: string[] = [];
  for (let at = trail; at !== undefined; at = at.above) {
    if (at.bond !== undefined && !names.includes(at.bond.name)) names.push(at.bond.name);
  }
  return names;
}
