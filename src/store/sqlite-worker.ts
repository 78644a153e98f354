/** The thread behind sqlite-thread.ts: one connection, one statement at a time, in the order they come. */
import type { SqliteDatabase } from 'kysely';
import { openSqliteFile } from './sqlite-file.ts';
import type { FromSqlite, ToSqlite } from './sqlite-thread.ts';

declare const self: Worker;

let database: SqliteDatabase | undefined;

self.onmessage = (event: MessageEvent<ToSqlite>) => {
  const { id } = event.data;
  try {
    post({ id, ...carryOut(event.data) });
  } catch (error) {
    // A cloned error keeps its message only: what it is known by goes as values.
    const { name, message, code, errno } = error as Error & { code?: string; errno?: number };
    post({ id, rows: [], error: { name, message, code, errno } });
  }
};

function post(message: FromSqlite): void {
  self.postMessage(message);
}

function carryOut(message: ToSqlite): Omit<FromSqlite, 'id'> {
  if (message.type === 'open') {
    database = openSqliteFile(message.path);
    return { rows: [] };
  }
  if (message.type === 'close') {
    database?.close();
    return { rows: [] };
  }
  if (message.begin) database!.prepare('begin').run([]);
  const statement = database!.prepare(message.sql);
  if (statement.reader) return { rows: statement.all(message.parameters) };
  return { rows: [], changes: statement.run(message.parameters).changes };
}
