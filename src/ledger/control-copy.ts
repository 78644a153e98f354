/** The last that was heard of the store's keys and what goes with them, on this node's disk: for a start while the store is away. */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlChange } from '../store/control-feed.ts';
import { nameStore } from '../store/open.ts';

/** One line for the store that is meant, one for each change since all were told; secrets are hashed, or encrypted as in the store. */
const pathOf = (dataDir: string) => join(dataDir, 'control.jsonl');

/**
 * Notes a change before the node acts on it: what was revoked stays so after a restart.
 * @throws the operating system's error.
 */
export function keepControl(dataDir: string, url: string, change: ControlChange): void {
  const path = pathOf(dataDir);
  const line = `${JSON.stringify(change)}\n`;
  if (!change.whole) {
    appendFileSync(path, line);
    return;
  }
  writeFileSync(`${path}.new`, `${JSON.stringify(nameStore(url))}\n${line}`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Changes in their order; none where nothing was heard of this store. A line that a crash cut short is left out. */
export function readControl(dataDir: string, url: string): ControlChange[] {
  let lines: string[];
  try {
    lines = readFileSync(pathOf(dataDir), 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
  const [store, ...changes] = lines.map(parse);
  return store === nameStore(url) ? changes.filter(isChange) : [];
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isChange(value: unknown): value is ControlChange {
  return typeof value === 'object' && value !== null && 'tenants' in value;
}
