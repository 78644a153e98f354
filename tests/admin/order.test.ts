/** Pages and filters of the admin API where the database has an order of words of its own. */
import { expect, test } from 'bun:test';
import { Client } from 'pg';
import { postgres } from '../servers.ts';
import { startAdministered } from './console.ts';

/** A database of people who write English: case and signs come last there. */
async function englishDatabase(): Promise<string> {
  const server = await postgres();
  const client = new Client({ connectionString: server.urlOf('postgres') });
  await client.connect();
  try {
    await client.query(
      "create database english template template0 encoding 'UTF8' locale_provider icu icu_locale 'en-US'",
    );
  } finally {
    await client.end();
  }
  return server.urlOf('english');
}

const stores: [kind: string, line: () => Promise<string>][] = [
  ['SQLite', async () => 'store: sqlite'],
  ['PostgreSQL in English', async () => `store: "${await englishDatabase()}"`],
];

test.each(stores)(
  'on %s keys come in one order, each on one page, and lines of the audit log are found',
  async (_, line) => {
    const filed = ['C', '~file', 'a_2', '\uff22'];
    const made = ['b', 'B', 'a-1', 'a1', '_x', '-y', 'key 1', 'key-1', '\uff21', '\u{1f600}', 'ä'];
    const keys = filed.map((name, i) => `  - { name: "${name}", key: sk-filed-${i} }`);
    const { owner, gateway } = await startAdministered(
      `${await line()}\nproviders: { mock: {} }\nkeys:\n${keys.join('\n')}\n`,
    );
    try {
      for (const name of made) expect(await owner('POST', '/keys', { name })).toMatchObject({ status: 201 });
      const all = [...filed, ...made].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const limit of [1, 3, 100]) {
        const seen: string[] = [];
        for (let cursor: string | null = ''; cursor !== null; ) {
          const { body } = await owner('GET', `/keys?limit=${limit}${cursor && `&cursor=${cursor}`}`);
          seen.push(...body.data.map(({ name }: { name: string }) => name));
          cursor = body.next;
        }
        expect(seen).toEqual(all);
      }
      for (const query of ['subject=key', 'actor=token_first'])
        expect((await owner('GET', `/audit?${query}`)).body.data).toHaveLength(made.length);
      expect((await owner('GET', '/audit?subject=ke')).body.data).toEqual([]);
      expect((await owner('GET', '/audit?actor=token_firs')).body.data).toEqual([]);
    } finally {
      await gateway.stop();
    }
  },
);
