/** Files and batches that providers keep: whose they are, and where, so that nobody else comes by them. */

export type ObjectKind = 'file' | 'batch' | 'upload';

export interface KeptObject {
  /** The provider's own id; `provider` and `id` together are one object. */
  id: string;
  provider: string;
  kind: ObjectKind;
  /** In whose shape clients know it: the name of a surface. */
  surface: string;
  /** Whose it is: organisation/team. */
  owner: string;
  keyMark: KeyMark;
  maker: Maker;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** From then on the provider has it no more; undefined: it does not say. */
  expiresAt: number | undefined;
  /** What the provider said of it last, JSON; undefined: it was not asked yet. */
  document: string | undefined;
  /** It will say nothing else. */
  final: boolean;
  /** A batch whose cost is in the journal. */
  charged: boolean;
}

/** Which key of a provider: by a digest of its secret, and by its place for when the secret was exchanged since. */
export interface KeyMark {
  id: string;
  digest: string;
}

/** Who made it, for when the bill comes. */
export interface Maker {
  /** The call in which it was made. */
  call: string;
  keyId: string;
  key: string;
  team: string;
  organisation: string;
  tags: string;
  session: string;
  endUser: string;
}

/** A part of a list, the newest first unless `ascending`. */
export interface ObjectPage {
  owner: string;
  surface: string;
  kind: ObjectKind;
  /** One provider only. */
  provider: string | undefined;
  /** Ids of the objects next to which it begins, or ends. */
  after: string | undefined;
  before: string | undefined;
  ascending: boolean;
  limit: number;
}

/** Where it is noted. All reject with the store's error. */
export interface Objects {
  /** Whether there is any at all. */
  any(): Promise<boolean>;
  /** One that is noted already stays as it is. */
  note(object: KeptObject): Promise<void>;
  /** What the provider says of one now. */
  update(object: KeptObject): Promise<void>;
  /** All of these ids, whosever they are. */
  find(ids: readonly string[]): Promise<KeptObject[]>;
  /** Undefined: the object named by `after` or `before` was never there. In the order of the list. */
  list(page: ObjectPage): Promise<KeptObject[] | undefined>;
  /** Batches that have ended and are not charged. */
  uncharged(): Promise<KeptObject[]>;
  /** The provider has it no more. */
  remove(object: KeptObject): Promise<void>;
  close(): Promise<void>;
}
