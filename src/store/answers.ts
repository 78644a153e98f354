/** Kept answers, in the store. */
import type { Compilable, CompiledQuery, Kysely, Selectable } from 'kysely';
import type { Answers, KeptAnswer } from '../core/answers.ts';
import { openLater } from './open.ts';
import type { AnswersTable, Schema } from './schema.ts';

/** As long as OpenAI keeps them: https://platform.openai.com/docs/guides/conversation-state */
const keptMs = 30 * 24 * 3_600_000;
/** Expired ones are removed when one is kept, no more often than that. */
const sweepMs = 60_000;
/** What comes within this time is written together: one by one, each would cost three times as much. */
const gatherMs = 10;
/** Rows per insert: more of them are not cheaper. */
const rowsPerInsert = 16;

/**
 * Opens a connection of its own, when it is first needed, on a thread of its own: a call must not wait for the disk, nor
 * for the applier that is writing.
 */
export function openAnswers(dataDir: string, url: string): Answers {
  const { db, close } = openLater(dataDir, url, { thread: 'beside' });
  let insert: Insert | undefined;
  let sweptAtMs = -Infinity;
  /** To be written, and when they are. */
  let gathered: KeptAnswer[] = [];
  let gathering: Promise<void> | undefined;
  /** The writing that was begun last, which ends last. */
  let writing: Promise<void> | undefined;

  async function writeSoon(): Promise<void> {
    await Bun.sleep(gatherMs);
    const answers = gathered;
    gathered = [];
    gathering = undefined;
    const store = await db();
    insert ??= createInsert(store);
    await insert(answers);
    const { createdAt } = answers.at(-1)!;
    if (createdAt - sweptAtMs < sweepMs) return;
    sweptAtMs = createdAt;
    await store
      .deleteFrom('answers')
      .where('created_at', '<', createdAt - keptMs)
      .execute();
  }

  return {
    keep(answer) {
      gathered.push(answer);
      gathering ??= writing = writeSoon();
      return gathering;
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
      await writing?.catch(() => {});
      const { numDeletedRows } = await (await db())
        .deleteFrom('answers')
        .where('id', '=', id)
        .where('owner', '=', owner)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },
    async close() {
      await writing?.catch(() => {});
      await close();
    },
  };
}

/** Stores all or none; one that is there already stays as it is. */
type Insert = (answers: readonly KeptAnswer[]) => Promise<void>;

/** Statements are compiled once for each number of rows: building them anew would cost as much as running them. */
function createInsert(db: Kysely<Schema>): Insert {
  const compiled = new Map<number, CompiledQuery>();

  async function run(on: Kysely<Schema>, answers: readonly KeptAnswer[]): Promise<void> {
    let query = compiled.get(answers.length);
    if (query === undefined) {
      query = insertRows(db, answers.length).compile();
      compiled.set(answers.length, query);
    }
    await on.executeQuery({ ...query, parameters: answers.flatMap(toRow) });
  }

  return async (answers) => {
    // One statement needs no transaction around it, which would cost as much again.
    if (answers.length <= rowsPerInsert) return run(db, answers);
    await db.transaction().execute(async (trx) => {
      for (let at = 0; at < answers.length; at += rowsPerInsert)
        await run(trx, answers.slice(at, at + rowsPerInsert));
    });
  };
}

function insertRows(db: Kysely<Schema>, rows: number): Compilable {
  const example: AnswersTable = {
    id: '',
    owner: '',
    previous: '',
    created_at: 0,
    request: '',
    response: '',
  };
  return db
    .insertInto('answers')
    .values(Array.from({ length: rows }, () => example))
    .onConflict((conflict) => conflict.doNothing());
}

/** In the order of the columns above. */
function toRow({ id, owner, previous, createdAt, request, response }: KeptAnswer): unknown[] {
  return [id, owner, previous ?? null, createdAt, request, response];
}

function toAnswer({ created_at, previous, ...rest }: Selectable<AnswersTable>): KeptAnswer {
  return { ...rest, previous: previous ?? undefined, createdAt: created_at };
}
