/** Organisations, teams and keys as they are kept in the store: plain data, fit to be posted between threads. */
import type { JsonObject } from './json.ts';

/** An organisation or team. */
export interface StoredTenant {
  name: string;
  /** As it was written, in the shape of the configuration file. */
  document: JsonObject;
  /** Revision of the store at which it was changed last. */
  revision: number;
  createdAt: number;
  updatedAt: number;
}

export interface StoredKey extends StoredTenant {
  id: string;
  /** SHA-256 of the secret, hex. */
  hash: string;
  /** As its document has it. */
  team: string;
  /** SHA-256 of the secret before, which works until `previousUntil`. */
  previousHash: string | undefined;
  previousUntil: number | undefined;
  /** Revoked keys stay, so that what they spent keeps its name. */
  revokedAt: number | undefined;
}

/** What changed since a revision of the store: the keys that did, but all teams and organisations there are. */
export interface TenantsChange {
  /** Up to which it is complete. */
  revision: number;
  organisations: StoredTenant[];
  teams: StoredTenant[];
  keys: StoredKey[];
}

/** What the configuration file owns, by name: it is changed there and nowhere else, and all of it exists. */
export interface FileTenants {
  keys: ReadonlySet<string>;
  teams: ReadonlySet<string>;
  organisations: ReadonlySet<string>;
}

/** No file owns anything. */
export const noFile: FileTenants = { keys: new Set(), teams: new Set(), organisations: new Set() };
