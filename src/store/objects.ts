/** Files and batches that providers keep, in the store. */
import type { Insertable, Selectable } from 'kysely';
import type { KeptObject, ObjectKind, ObjectPage, Objects } from '../core/objects.ts';
import { openLater, type Store } from './open.ts';
import type { ObjectsTable } from './schema.ts';

/** What is gone is remembered for so long: a list may be read on from it, and its id stays somebody's. */
const rememberedMs = 30 * 24 * 3_600_000;
/** What may go is looked for with every so many that are noted. */
const sweepEvery = 100;

/** Opens a connection of its own, when it is first needed, on a thread of its own. */
export function openObjects(dataDir: string, url: string): Objects {
  const { db, close } = openLater(dataDir, url, { thread: 'beside' });
  let noted = 0;

  async function sweep(now: number): Promise<void> {
    const longGone = now - rememberedMs;
    await (await db())
      .deleteFrom('objects')
      .where((eb) => eb.or([eb('removed_at', '<', longGone), eb('expires_at', '<', longGone)]))
      .execute();
  }

  return {
    async any() {
      const found = await (await db()).selectFrom('objects').select('id').limit(1).executeTakeFirst();
      return found !== undefined;
    },
    async note(object) {
      await (await db())
        .insertInto('objects')
        .values(toRow(object))
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      if (noted++ % sweepEvery === 0) await sweep(object.createdAt);
    },
    async update(object) {
      const { document, expires_at, final, charged } = toRow(object);
      await (await db())
        .updateTable('objects')
        .set({ document, expires_at, final, charged })
        .where('provider', '=', object.provider)
        .where('id', '=', object.id)
        .execute();
    },
    async find(ids) {
      const rows = await (await db())
        .selectFrom('objects')
        .selectAll()
        .where('id', 'in', [...ids])
        .where('removed_at', 'is', null)
        .execute();
      return rows.map(toObject);
    },
    async list(page) {
      return listRows(await db(), page);
    },
    async uncharged() {
      const rows = await (await db())
        .selectFrom('objects')
        .selectAll()
        .where('kind', '=', 'batch')
        .where('final', '=', 1)
        .where('charged', '=', 0)
        .execute();
      return rows.map(toObject);
    },
    async remove({ provider, id }) {
      await (await db())
        .updateTable('objects')
        .set({ removed_at: Date.now() })
        .where('provider', '=', provider)
        .where('id', '=', id)
        .execute();
    },
    close,
  };
}

async function listRows(db: Store['db'], page: ObjectPage): Promise<KeptObject[] | undefined> {
  const { owner, surface, kind, provider, after, before, limit } = page;
  // A page before an object is read backwards from it, and turned round.
  const backwards = before !== undefined;
  const rising = page.ascending !== backwards;
  let query = db
    .selectFrom('objects')
    .selectAll()
    .where('owner', '=', owner)
    .where('surface', '=', surface)
    .where('kind', '=', kind)
    .where('removed_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', Date.now())]));
  if (provider !== undefined) query = query.where('provider', '=', provider);
  const next = before ?? after;
  if (next !== undefined) {
    const at = await db
      .selectFrom('objects')
      .select(['created_at', 'id'])
      .where('id', '=', next)
      .where('owner', '=', owner)
      .executeTakeFirst();
    if (at === undefined) return undefined;
    const beyond = rising ? '>' : '<';
    query = query.where((eb) =>
      eb.or([
        eb('created_at', beyond, at.created_at),
        eb.and([eb('created_at', '=', at.created_at), eb('id', beyond, at.id)]),
      ]),
    );
  }
  const order = rising ? 'asc' : 'desc';
  const rows = await query.orderBy('created_at', order).orderBy('id', order).limit(limit).execute();
  const objects = rows.map(toObject);
  return backwards ? objects.reverse() : objects;
}

function toRow({ keyMark, maker, ...object }: KeptObject): Insertable<ObjectsTable> {
  const { id, provider, kind, surface, owner } = object;
  return {
    id,
    provider,
    kind,
    surface,
    owner,
    key_id: keyMark.id,
    key_digest: keyMark.digest,
    maker: JSON.stringify(maker),
    created_at: object.createdAt,
    expires_at: object.expiresAt ?? null,
    removed_at: null,
    document: object.document ?? null,
    final: Number(object.final),
    charged: Number(object.charged),
  };
}

function toObject(row: Selectable<ObjectsTable>): KeptObject {
  return {
    id: row.id,
    provider: row.provider,
    kind: row.kind as ObjectKind,
    surface: row.surface,
    owner: row.owner,
    keyMark: { id: row.key_id, digest: row.key_digest },
    maker: JSON.parse(row.maker),
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    document: row.document ?? undefined,
    final: row.final === 1,
    charged: row.charged === 1,
  };
}
