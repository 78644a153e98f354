/** The data directory: made when missing, and owned by one gateway at a time. */
import { Database } from 'bun:sqlite';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Something about the data directory or the journal an operator has to change; its message is one line. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
}

export interface Lock {
  release(): void;
}

/** A database nobody refers to any more is closed by the garbage collector, and its lock would go with it. */
const held = new Set<Database>();

/**
 * Takes the directory for this process until released or dead, making it where it is missing.
 *
 * The lock is SQLite's own on an empty database file: the operating system lets go of it when the process dies, so it
 * is never stale, and unlike a bare process id it also holds between containers that share the directory.
 * @throws LedgerError when the directory cannot be written, or another process has it (its id is named).
 */
export function lockDataDir(dataDir: string): Lock {
  // A command that looks at what a dead gateway left holds the directory for a moment.
  const lock = tryLockDataDir(dataDir, 1000);
  if (lock !== undefined) return lock;
  const pid = readPid(dataDir);
  const owner = pid === undefined ? 'another process' : `process ${pid}`;
  throw new LedgerError(
    `The data directory ${dataDir} is in use by ${owner}. Stop that one first, or choose another directory with --data DIR.`,
  );
}

/** As lockDataDir, but undefined when another process has the directory for longer than `waitMs`. */
export function tryLockDataDir(dataDir: string, waitMs = 0): Lock | undefined {
  let db: Database;
  try {
    mkdirSync(join(dataDir, 'journal'), { recursive: true });
    db = new Database(join(dataDir, 'lock'));
  } catch (error) {
    throw unwritable(dataDir, error);
  }
  try {
    db.run(`PRAGMA busy_timeout = ${waitMs}`);
    db.run('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (codeOf(error).startsWith('SQLITE_BUSY')) return undefined;
    throw unwritable(dataDir, error);
  }
  try {
    writeFileSync(join(dataDir, 'pid'), `${process.pid}\n`);
  } catch (error) {
    db.close();
    throw unwritable(dataDir, error);
  }
  held.add(db);
  return {
    release() {
      held.delete(db);
      db.close();
    },
  };
}

/**
 * The node's id, made when it is first asked for: the store knows this directory's journal by it. A directory that is
 * copied must not be used beside the first one.
 * @throws LedgerError when it cannot be written.
 */
export function readNode(dataDir: string): string {
  const path = join(dataDir, 'node');
  try {
    const known = existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
    if (known !== '') return known;
    const id = randomBytes(8).toString('hex');
    writeFileSync(path, `${id}\n`);
    return id;
  } catch (error) {
    throw unwritable(dataDir, error);
  }
}

function readPid(dataDir: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(dataDir, 'pid'), 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}

function unwritable(dataDir: string, error: unknown): LedgerError {
  return new LedgerError(
    `Cannot write to the data directory ${dataDir}: ${reasonOf(error)}. Choose another with --data DIR, or make this one writable.`,
  );
}

/** Why the operating system said no, in words. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return reasons[code] ?? (error instanceof Error ? error.message.split('\n')[0]! : String(error));
}

const reasons: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file, not a directory',
  EEXIST: 'a file of that name is in the way',
  EIO: 'the disk reports an error',
  SQLITE_CANTOPEN: 'permission denied',
  SQLITE_READONLY: 'permission denied',
  SQLITE_FULL: 'the disk is full',
  SQLITE_NOTADB: 'its file `lock` is not what it should be; remove that file',
};

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
