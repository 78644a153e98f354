/** PostgreSQL through Kysely and `pg`: few connections, and none that waits for ever. */
import { PostgresDialect, type PostgresPoolClient } from 'kysely';
import { Client, type ClientConfig, Pool, type PoolClient, types } from 'pg';

/** A database that does not answer within these is an error, and what waits for it goes on. */
const connectMs = 5000;
const queryMs = 30_000;
/** A transaction whose node is gone lets go of its rows after so long. */
const idleInTransactionMs = 60_000;
/** The applier, kept answers, objects and the admin API have a pool each: together they stay below ten. */
const maxConnections = 3;

/**
 * @param url `postgres://user:password@host:port/database?sslmode=…`
 * @param patient for migrations, which may take as long as they need.
 */
export function postgresDialect(url: string, { patient = false } = {}): PostgresDialect {
  const config = { ...clientConfig(url), ...(!patient && timeouts) };
  const pool = new Pool({ ...config, max: maxConnections, allowExitOnIdle: true });
  // Connections that break while nobody uses them are replaced.
  pool.on('error', () => {});
  // And those that break while somebody does tell him by what he asks for; without a listener the thread would end.
  pool.on('connect', (client) => client.on('error', () => {}));
  return new PostgresDialect({
    pool: {
      connect: async () => new CautiousClient(await pool.connect()),
      end: () => pool.end(),
    },
  });
}

/** A connection outside the pool, which waits for notifications and nothing else. */
export function createListener(url: string): Client {
  return new Client({ ...clientConfig(url), query_timeout: connectMs });
}

const timeouts: ClientConfig = {
  query_timeout: queryMs + 1000,
  statement_timeout: queryMs,
  lock_timeout: queryMs,
  idle_in_transaction_session_timeout: idleInTransactionMs,
};

function clientConfig(connectionString: string): ClientConfig {
  return {
    connectionString,
    application_name: 'sluice',
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser: (oid, format) => parsers[oid] ?? types.getTypeParser(oid, format) },
  };
}

/** `bigint` and `numeric` as SQLite gives them: numbers, as long as those are exact. Text beyond, for BigInt(). */
const parsers: Record<number, (text: string) => number | string> = { 20: parseNumber, 1700: parseNumber };

function parseNumber(text: string): number | string {
  const number = Number(text);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? text : number;
}

/**
 * A connection that broke or did not answer in time is not used again: its late answer would be taken for that of the
 * next statement.
 */
class CautiousClient implements PostgresPoolClient {
  private broken: Error | undefined;

  constructor(private readonly client: PoolClient) {}

  query = (async (sql: string, parameters: readonly unknown[]) => {
    if (this.broken !== undefined) throw this.broken;
    try {
      return await this.client.query(sql, parameters.map(withoutNul));
    } catch (error) {
      // What the server itself says comes with its severity, and leaves the connection as it was.
      if (!(error instanceof Error && 'severity' in error)) this.broken = error as Error;
      throw error;
    }
  }) as unknown as PostgresPoolClient['query'];

  release(): void {
    this.client.release(this.broken);
  }
}

/** PostgreSQL's text cannot hold U+0000. Replaced and not taken out: it must not become the name of somebody else. */
function withoutNul(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
}
