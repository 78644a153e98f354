/** Why a call went where it went, from its record. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatUsd } from '../core/money.ts';
import { applyLeftovers } from '../ledger/leftovers.ts';
import { type RecordedAttempt, readCall } from '../store/calls.ts';
import { openStore, storeExists } from '../store/open.ts';
import { CommandError, type DataFlags, findDataDir } from './data-dir.ts';
import { formatTable } from './table.ts';

/** @throws CommandError when the data directory has no such call. */
export async function showRecordedCall(id: string, flags: DataFlags, json: boolean): Promise<string> {
  const dataDir = findDataDir(flags);
  if (existsSync(join(dataDir, 'journal'))) await applyLeftovers(dataDir, 'sqlite');
  if (!storeExists(dataDir)) throw new CommandError(`Nothing is recorded in ${dataDir}.`);
  const store = await openStore(dataDir, 'sqlite');
  try {
    const attempts = await readCall(store.db, id);
    if (attempts.length === 0) {
      throw new CommandError(
        `No call ${id} is recorded in ${dataDir}. Its id is the x-request-id of its answer.`,
      );
    }
    return json ? `${JSON.stringify(attempts, null, 2)}\n` : format(id, attempts);
  } finally {
    await store.close();
  }
}

function format(id: string, attempts: readonly RecordedAttempt[]): string {
  const { key, model, at } = attempts.at(-1)!;
  const left = ['', 'target', 'way', 'outcome'].map((title) => ({ title, align: 'left' as const }));
  const right = ['status', 'first byte', 'ms', 'input', 'output', 'usd'].map((title) => ({
    title,
    align: 'right' as const,
  }));
  return `${id}: ${model} for ${key}, ended ${new Date(at).toISOString()}\n\n${formatTable(
    [...left, ...right],
    attempts.map((each) => [
      String(each.attempt),
      each.target,
      each.why === '' ? 'named by the client' : each.why,
      each.outcome,
      each.upstream_status === 0 ? '' : String(each.upstream_status),
      each.first_byte_ms === null ? '' : `${each.first_byte_ms} ms`,
      String(each.duration_ms),
      String(each.input),
      `${each.output}${each.estimated ? ' (est.)' : ''}`,
      each.nano_usd === null ? 'unpriced' : formatUsd(each.nano_usd),
    ]),
  )}`;
}
