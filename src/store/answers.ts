/** Kept answers, in the store. */
import type { Compilable, CompiledQuery, Kysely, Selectable } from 'kysely';
import type { Answers, KeptAnswer } from '../core/answers.ts';
import { openLater } from './open.ts';
import type { AnswersTable, Schema } from './schema.ts';

/** As long as OpenAI keeps them: https://platform.openai.com/docs/guides/conversation-state */
const keptMs = 30 * 24 * 3_600_000;
/** Expired ones are removed with every so many that are kept. */
const sweepEvery = 100;
/** What comes within this time is written together: one by one, each would cost three times as much. */
const gatherMs = 10;
/** Rows per insert: more of them are not cheaper. */
const rowsPerInsert = 16;

/** Opens a connection of its own, when it is first needed. */
export function openAnswers(dataDir: string, url: string): Answers {
  const { db, close } = openLater(dataDir, url);
  let inserts: Inserts | undefined;
  let kept = 0;
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
    inserts ??= { one: insertRows(store, 1).compile(), many: insertRows(store, rowsPerInsert).compile() };
    await insert(store, inserts, answers);
    const before = kept;
    kept += answers.length;
    // The first one is a reason too: who starts often sweeps often enough.
    if (before > 0 && Math.floor(before / sweepEvery) === Math.floor(kept / sweepEvery)) return;
    const { createdAt } = answers.at(-1)!;
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

/** Compiled once: building them anew would cost as much as running them. */
interface Inserts {
  one: CompiledQuery;
  many: CompiledQuery;
}

/** All or none; one that is there already stays as it is. */
async function insert(
  db: Kysely<Schema>,
  { one, many }: Inserts,
  answers: readonly KeptAnswer[],
): Promise<void> {
  const whole = answers.length - (answers.length % rowsPerInsert);
  await db.transaction().execute(async (trx) => {
    for (let at = 0; at < answers.length; ) {
      const [query, rows] = at < whole ? [many, rowsPerInsert] : [one, 1];
      await trx.executeQuery({ ...query, parameters: answers.slice(at, at + rows).flatMap(toRow) });
      at += rows;
    }
  });
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
