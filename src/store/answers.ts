/** Kept answers, in the store. */
import type { Selectable } from 'kysely';
import type { Answers, KeptAnswer } from '../core/answers.ts';
import { openStore, type Store } from './open.ts';
import type { AnswersTable } from './schema.ts';

/** As long as OpenAI keeps them: https://platform.openai.com/docs/guides/conversation-state */
const keptMs = 30 * 24 * 3_600_000;
/** Expired ones are removed with every so many that are kept. */
const sweepEvery = 100;

/** Opens a connection of its own, when it is first needed. */
export function openAnswers(dataDir: string, url: string): Answers {
  let opening: Promise<Store> | undefined;
  let kept = 0;

  async function db(): Promise<Store['db']> {
    opening ??= openStore(dataDir, url);
    try {
      return (await opening).db;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  }

  return {
    async keep(answer) {
      const store = await db();
      const { createdAt, previous, ...rest } = answer;
      await store
        .insertInto('answers')
        .values({ ...rest, previous: previous ?? null, created_at: createdAt })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      if (kept++ % sweepEvery !== 0) return;
      await store
        .deleteFrom('answers')
        .where('created_at', '<', answer.createdAt - keptMs)
        .execute();
    },
    async find(owner, id) {
      const row = await (await db())
        .selectFrom('answers')
        .selectAll()
        .where('id', '=', id)
        .where('owner', '=', owner)
        .executeTakeFirst();
      return row === undefined ? undefined : toAnswer(row);
    },
    async remove(owner, id) {
      const { numDeletedRows } = await (await db())
        .deleteFrom('answers')
        .where('id', '=', id)
        .where('owner', '=', owner)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },
    async close() {
      const store = await opening?.catch(() => undefined);
      await store?.close();
    },
  };
}

function toAnswer({ created_at, previous, ...rest }: Selectable<AnswersTable>): KeptAnswer {
  return { ...rest, previous: previous ?? undefined, createdAt: created_at };
}
