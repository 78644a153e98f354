/** What organisations and teams have in common here: documents with a name, of the configuration file or of the store. */
import type { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { JsonObject } from '../core/json.ts';
import type { StoredTenant } from '../core/tenants.ts';
import {
  createTenant,
  findTenant,
  listTenantsOf,
  removeTenant,
  type TenantKind,
  updateTenant,
} from '../store/tenants.ts';
import { covers, type Scope, scopeOf } from './access.ts';
import { change, etagOf, requireMatch } from './change.ts';
import { unknown } from './errors.ts';
import { readCursor, toPage } from './page.ts';
import type { AdminPowers } from './powers.ts';
import { type AdminEnv, iso } from './resource.ts';
import {
  approve,
  commonScope,
  discreetly,
  documentIn,
  type FileSections,
  noSuch,
  ownedByFile,
  patched,
  requireNew,
  writtenOf,
} from './tenancy.ts';

/** As it is told, whatever its kind. */
interface Told {
  name: string;
  owned_by: 'file' | 'store';
  document: JsonObject;
  created_at: string | null;
  updated_at: string | null;
}

interface Kind<Said extends Told> {
  kind: TenantKind;
  word: 'organisation' | 'team';
  schema: z.ZodType;
  say(told: Told): Said;
  /** Whose it is. */
  scope(name: string, document: JsonObject): Scope;
}

type C = Context<AdminEnv>;

/** What routes of a kind do; what is not for the token that asks to know is not there for it. */
export function tenantDocuments<Said extends Told>(powers: AdminPowers, of: Kind<Said>) {
  const { kind, word, schema, say, scope } = of;
  const owned = () => ownedByFile(powers.file());
  const whose = ({ name, document }: StoredTenant) => scope(name, document);
  const sees = (c: C, { name, document }: Told) => covers(scopeOf(c.get('token')), scope(name, document));
  const toldOf = (stored: StoredTenant | undefined, name: string): Told | undefined =>
    toldInFile(powers.file()[kind]).find((each) => each.name === name) ?? (stored && toldInStore(stored));

  /** @throws TenantError where it would belong to an organisation that is not for this token to know. */
  function requireWithin(c: C, name: string, document: JsonObject): void {
    const at = scope(name, document);
    if (!covers(scopeOf(c.get('token')), at)) throw noSuch('organisation', at.organisation!);
  }

  /** For a change. @throws AdminError where there is none for this token, or another than it was read. */
  function requireSeen(c: C, name: string, stored: StoredTenant | undefined): void {
    const told = toldOf(stored, name);
    if (told === undefined || !sees(c, told)) throw unknown(word, name);
    requireMatch(c, say(told));
  }

  return {
    async page(c: C, { limit, cursor }: { limit: number; cursor?: string | undefined }) {
      const after = readCursor(cursor, [''])?.[0] ?? '';
      const filed = toldInFile(powers.file()[kind]);
      const names = new Set(filed.map(({ name }) => name));
      const stored = (await listTenantsOf(await powers.store(), kind)).filter(({ name }) => !names.has(name));
      const rows = [...filed, ...stored.map(toldInStore)]
        .filter((told) => told.name > after && sees(c, told))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      return toPage(rows, limit, ({ name }) => [name], say);
    },
    async read(c: C, name: string): Promise<Said> {
      const told = toldOf(await findTenant(await powers.store(), kind, name), name);
      if (told === undefined || !sees(c, told)) throw unknown(word, name);
      return withEtag(c, say(told));
    },
    async create(c: C, name: string): Promise<Said> {
      const document = approve(schema, await documentIn(c));
      requireWithin(c, name, document);
      const asking = scopeOf(c.get('token'));
      const made = await change(c, powers, async ({ trx, audit }) => {
        if (kind === 'teams') await requireNew(trx, powers.file(), asking, name);
        const stored = await discreetly(asking, () => createTenant(trx, kind, name, document, owned()));
        await audit({ action: 'create', subject: `${word}:${name}`, after: document, ...whose(stored) });
        return say(toldInStore(stored));
      });
      return withEtag(c, made);
    },
    async update(c: C, name: string, changes: JsonObject): Promise<Said> {
      const changed = await change(c, powers, async ({ trx, audit }) => {
        const stored = await findTenant(trx, kind, name);
        requireSeen(c, name, stored);
        const document = approve(schema, patched(stored?.document ?? {}, changes));
        requireWithin(c, name, document);
        const { before, after } = await updateTenant(trx, kind, name, document, owned());
        await audit({
          action: 'update',
          subject: `${word}:${name}`,
          before: before.document,
          after: after.document,
          ...commonScope(whose(before), whose(after)),
        });
        return say(toldInStore(after));
      });
      return withEtag(c, changed);
    },
    async remove(c: C, name: string): Promise<Said> {
      return await change(c, powers, async ({ trx, audit }) => {
        requireSeen(c, name, await findTenant(trx, kind, name));
        const before = await removeTenant(trx, kind, name, owned());
        await audit({
          action: 'delete',
          subject: `${word}:${name}`,
          before: before.document,
          ...whose(before),
        });
        return say(toldInStore(before));
      });
    },
  };
}

function withEtag<Said>(c: C, said: Said): Said {
  c.header('etag', etagOf(said));
  return said;
}

function toldInFile(section: FileSections[TenantKind]): Told[] {
  return Object.entries(section).map(([name, each]) => ({
    name,
    owned_by: 'file',
    document: writtenOf(each),
    created_at: null,
    updated_at: null,
  }));
}

function toldInStore({ name, document, createdAt, updatedAt }: StoredTenant): Told {
  return { name, owned_by: 'store', document, created_at: iso(createdAt), updated_at: iso(updatedAt) };
}
