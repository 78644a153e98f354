/** Top-level members that a host refuses, or knows by another name. */
import type { JsonObject } from '../core/json.ts';
import type { Quirks } from './quirks.ts';

/** Leaves out and renames members of `body`; `lost` gets the names of those left out. */
export function fitMembers(body: JsonObject, quirks: Quirks, lost: string[]): void {
  for (const name of quirks.drop ?? []) {
    if (body[name] === undefined) continue;
    delete body[name];
    lost.push(name);
  }
  for (const name in quirks.rename) {
    if (body[name] === undefined) continue;
    body[quirks.rename[name]!] = body[name];
    delete body[name];
  }
}
