/** What end users had used before this process began, of the windows that limits of theirs have. */
import type { Key, Limit, Snapshot } from '../config/snapshot.ts';
import type { Window } from '../config/window.ts';
import type { NanoUsd } from '../core/money.ts';
import { type EndUsersOf, endUserId } from './binding.ts';
import type { Spent } from './leases.ts';
import { windowStartMs } from './window.ts';

/** Sums of one end user's calls with one key. */
export interface EndUserSpent {
  key: string;
  team: string;
  organisation: string;
  endUser: string;
  calls: number;
  tokens: number;
  nanoUsd: NanoUsd;
}

/**
 * @param keys those that have such limits of their own, at least.
 * @param since what was spent at or after a moment (milliseconds since 1970); not asked where nobody has such limits.
 */
export async function spentByEndUsers(
  { teams, organisations }: Pick<Snapshot, 'teams' | 'organisations'>,
  keys: Iterable<Key>,
  since: (ms: number) => Promise<readonly EndUserSpent[]>,
  nowMs: number,
): Promise<Spent[]> {
  const limited = {
    key: namesByWindow(keys),
    team: namesByWindow(teams.values()),
    organisation: namesByWindow(organisations?.values() ?? []),
  };
  const windows = new Set(Object.values(limited).flatMap((names) => [...names.keys()]));
  const spent: Spent[] = [];
  for (const window of windows) {
    const rows = await since(Math.max(0, windowStartMs(window, nowMs)));
    for (const of of ['key', 'team', 'organisation'] as const) {
      const names = limited[of].get(window);
      for (const row of rows) if (names?.has(row[of])) spent.push(...amountsOf(of, row, window, nowMs));
    }
  }
  return spent;
}

interface Limited {
  name: string;
  endUserLimits?: readonly Limit[] | undefined;
}

/** Whose limits of end users have a window. The same window is one object. */
function namesByWindow(tenants: Iterable<Limited>): Map<Window, Set<string>> {
  const names = new Map<Window, Set<string>>();
  for (const { name, endUserLimits = [] } of tenants) {
    for (const { window } of endUserLimits) {
      if (window === undefined) continue;
      const known = names.get(window) ?? new Set();
      names.set(window, known.add(name));
    }
  }
  return names;
}

function amountsOf(of: EndUsersOf, row: EndUserSpent, window: Window, atMs: number): Spent[] {
  const whose = { owner: 'end_user', id: endUserId(of, row[of], row.endUser), window, atMs } as const;
  return [
    { ...whose, unit: 'requests', amount: row.calls },
    { ...whose, unit: 'tokens', amount: row.tokens },
    { ...whose, unit: 'usd', amount: row.nanoUsd },
  ];
}
