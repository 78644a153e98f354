/** `sticky`: what belongs together goes to one target, by the same rule on every node; and stays where it had to move to. */
import type { Route, Sticky } from '../../config/route.ts';
import { targetsOf } from '../../config/targets.ts';
import type { Moment } from '../moment.ts';
import { type Bond, childWith } from './conversation.ts';
import type { Note } from './index.ts';
import { Ranking } from './ranking.ts';

/**
 * Rendezvous hashing: every target draws a number for the conversation, and the highest wins. A target that comes or
 * goes moves its own conversations only, and where the winner is not well, all nodes agree on the second.
 * https://en.wikipedia.org/wiki/Rendezvous_hashing
 * What belongs to nothing goes anywhere.
 */
export function sticky(route: Sticky, moment: Moment, bond?: Bond, note?: Note): readonly Route[] {
  const { children } = route;
  const seed = bond === undefined ? Math.floor(moment.random() * 2 ** 32) : Bun.hash.xxHash32(bond.name);
  const scores: number[] = [];
  for (const hashes of hashesOf(route)) {
    let best = 0;
    for (const hash of hashes) best = Math.max(best, mix(seed, hash));
    scores.push(-best);
  }
  for (let i = 0; i < children.length; i++) note?.(children[i]!, -scores[i]!);
  const ranking = new Ranking(children, scores);
  const kept = childWith(children, bond?.kept);
  if (kept !== undefined) ranking.putFirst(ranking.routes.indexOf(kept));
  return ranking.routes;
}

const known = new WeakMap<Sticky, readonly (readonly number[])[]>();

/** Of the ids of the targets below each child. */
function hashesOf(route: Sticky): readonly (readonly number[])[] {
  let hashes = known.get(route);
  if (hashes === undefined) {
    hashes = route.children.map((child) => targetsOf(child).map(({ id }) => Bun.hash.xxHash32(id)));
    known.set(route, hashes);
  }
  return hashes;
}

/** A number in [0, 1) for two: MurmurHash3's finaliser over both. */
function mix(seed: number, hash: number): number {
  let mixed = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b) ^ hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}
