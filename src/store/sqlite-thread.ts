/** Kysely's driver for an SQLite connection that lives on a thread of its own: statements go there, rows come back. */
import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult } from 'kysely';
import { workerUrl } from '../core/worker-url.ts';

export type ToSqlite = { id: number } & (
  | { type: 'open'; path: string }
  /** `begin`: a transaction begins before it. */
  | { type: 'run'; sql: string; parameters: readonly unknown[]; begin: boolean }
  | { type: 'close' }
);

/** The answer to the message of that id. */
export interface FromSqlite {
  id: number;
  rows: unknown[];
  /** Of statements that return no rows. */
  changes?: number | bigint;
  error?: { name: string; message: string; code?: string | undefined; errno?: number | undefined };
}

/**
 * One connection, lent to one borrower at a time: a transaction keeps it to its end. The thread starts with the first
 * statement, keeps the process alive only while somebody waits for it, and ends with `destroy`.
 */
export class ThreadDriver implements Driver {
  private worker: Worker | undefined;
  private nextId = 0;
  private readonly waiting = new Map<number, PromiseWithResolvers<FromSqlite>>();
  /** Resolves when the borrower before has given the connection back. */
  private free: Promise<void> = Promise.resolve();
  private giveBack = () => {};
  /** A transaction begins with its first statement: a message less to wait for. */
  private beginning = false;
  /** The thread died: the next borrower starts another one. */
  private failed = false;

  constructor(private readonly path: string) {}

  /** @throws the driver's error where the file cannot be opened. */
  async init(): Promise<void> {
    this.start();
    this.failed = false;
    try {
      await this.ask({ type: 'open', path: this.path });
    } catch (error) {
      this.end();
      throw error;
    }
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.free;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.free = promise;
    await before;
    this.giveBack = resolve;
    try {
      if (this.failed) await this.init();
    } catch (error) {
      resolve();
      throw error;
    }
    return new ThreadConnection(this);
  }

  async beginTransaction(): Promise<void> {
    this.beginning = true;
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    if (!this.beginning) await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (!this.beginning) await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async releaseConnection(): Promise<void> {
    this.beginning = false;
    this.giveBack();
  }

  async destroy(): Promise<void> {
    if (this.worker === undefined) return;
    await this.ask({ type: 'close' }).catch(() => {});
    this.end();
  }

  run(sql: string, parameters: readonly unknown[]): Promise<FromSqlite> {
    const begin = this.beginning;
    this.beginning = false;
    return this.ask({ type: 'run', sql, parameters, begin });
  }

  private start(): void {
    this.worker = new Worker(workerUrl('store/sqlite-worker.ts'), { name: 'store' });
    this.worker.onmessage = (event: MessageEvent<FromSqlite>) => {
      const message = event.data;
      const waiting = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (this.waiting.size === 0) this.worker?.unref();
      if (message.error === undefined) waiting?.resolve(message);
      else waiting?.reject(toError(message.error));
    };
    this.worker.onerror = (event) => {
      this.failed = true;
      this.end(`The store's thread failed: ${event.message}.`);
    };
  }

  private ask(
    message:
      | { type: 'open'; path: string }
      | Omit<Extract<ToSqlite, { type: 'run' }>, 'id'>
      | { type: 'close' },
  ): Promise<FromSqlite> {
    if (this.worker === undefined) return Promise.reject(new Error('The store is closed.'));
    const id = this.nextId++;
    const waiting = Promise.withResolvers<FromSqlite>();
    if (this.waiting.size === 0) this.worker.ref();
    this.waiting.set(id, waiting);
    this.worker.postMessage({ id, ...message });
    return waiting.promise;
  }

  private end(why = 'The store is closed.'): void {
    this.worker?.terminate();
    this.worker = undefined;
    for (const { reject } of this.waiting.values()) reject(new Error(why));
    this.waiting.clear();
  }
}

class ThreadConnection implements DatabaseConnection {
  constructor(private readonly driver: ThreadDriver) {}

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, changes } = await this.driver.run(sql, parameters);
    return {
      rows: rows as Row[],
      ...(changes !== undefined && { numAffectedRows: BigInt(changes) }),
    };
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for it; whoever reads much reads in pages.
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('Rows do not stream from another thread: read them in pages.');
  }
}

/** The driver's error again, with what it is known by. */
function toError({ name, message, code, errno }: NonNullable<FromSqlite['error']>): Error {
  return Object.assign(new Error(message), {
    name,
    ...(code !== undefined && { code }),
    ...(errno !== undefined && { errno }),
  });
}
