/** Files and batches at providers, as the gateway knows them: noted when they are made, looked up when they are named. */
import type { Key, Provider, ProviderKey } from '../../config/snapshot.ts';
import { GatewayError } from '../../core/error.ts';
import type { KeptObject, KeyMark, ObjectPage, Objects } from '../../core/objects.ts';
import { hashSecret } from '../../core/secret.ts';
import { collectFiles, mayNameFiles } from '../../dialects/objects/index.ts';
import { utf8 } from '../../wire/bytes.ts';
import { fromStore } from '../from-store.ts';
import { ownerOf } from '../names.ts';

/** No request that is meant names more. */
const maxNamed = 1000;
/** What is known to be charged is not forgotten before those who read the store earlier are done. */
const maxCharges = 10_000;

/** Where a request has to go, because files that it names are there: provider → which of its keys. */
export type Pins = ReadonlyMap<string, KeyMark>;

export class KeptObjects {
  /** Whether anything is there: until that is known, there may be. */
  private present = true;
  /** Something was noted since the start. */
  private noted = false;
  /** Batches that are being charged, or were not long ago, as `provider/id`. */
  private readonly charges = new Map<string, Promise<void>>();

  /** @param alarm told what went wrong behind a client's back. */
  constructor(
    private readonly objects: Objects,
    readonly alarm: (what: string, error: unknown) => void,
  ) {}

  /** Finds out whether there is anything to guard; until then everything is. */
  async open(): Promise<void> {
    try {
      const any = await this.objects.any();
      this.present = any || this.noted;
    } catch (error) {
      // There may be some: whoever names one hears that it cannot be looked up.
      this.present = true;
      this.alarm('the notes on files cannot be read', error);
    }
  }

  async note(object: KeptObject): Promise<void> {
    this.noted = true;
    this.present = true;
    await fromStore(this.objects.note(object));
  }

  update(object: KeptObject): Promise<void> {
    return this.objects.update(object);
  }

  remove(object: KeptObject): Promise<void> {
    return fromStore(this.objects.remove(object));
  }

  list(page: ObjectPage): Promise<KeptObject[] | undefined> {
    return fromStore(this.objects.list(page));
  }

  /**
   * Charges a batch by `work`, unless that is done already, or being done: then it is waited for. Never rejects: what
   * comes to nothing is tried again when the batch is looked at next.
   */
  charge(object: KeptObject, work: () => Promise<void>): Promise<void> {
    const name = `${object.provider}/${object.id}`;
    const before = this.charges.get(name);
    if (before !== undefined) return before;
    // Maps keep the order of insertion: the first is the oldest.
    if (this.charges.size >= maxCharges) this.charges.delete(this.charges.keys().next().value!);
    const charging = work().catch((error) => {
      this.charges.delete(name);
      this.alarm(`the batch ${name} could not be charged`, error);
    });
    this.charges.set(name, charging);
    return charging;
  }

  uncharged(): Promise<KeptObject[]> {
    return this.objects.uncharged();
  }

  /** Those of `ids` that are the caller's. */
  async findOwn(key: Key, ids: readonly string[]): Promise<KeptObject[]> {
    const owner = ownerOf(key);
    return (await fromStore(this.objects.find(ids))).filter((object) => object.owner === owner);
  }

  /**
   * Sees to it that a request names no file that is somebody else's.
   * @returns a promise only where it may name one: of the places where those that are the caller's are.
   */
  guard(key: Key, body: Uint8Array): Promise<Pins | undefined> | undefined {
    if (!this.present || !mayNameFiles(body)) return undefined;
    const named = new Set<string>();
    collectFiles(utf8(body), named);
    return named.size === 0 ? undefined : this.pin(key, [...named]);
  }

  /** @throws GatewayError `not_found` for what is known to be somebody else's. */
  async pin(key: Key, ids: readonly string[]): Promise<Pins | undefined> {
    if (ids.length > maxNamed) {
      throw new GatewayError('bad_request', `The request names more than ${maxNamed} files.`);
    }
    const owner = ownerOf(key);
    const found = await fromStore(this.objects.find(ids));
    const own = found.filter((object) => object.owner === owner);
    const foreign = found.find(({ id }) => !own.some((each) => each.id === id));
    if (foreign !== undefined) throw noSuch('file', foreign.id);
    return own.length === 0 ? undefined : new Map(own.map(({ provider, keyMark }) => [provider, keyMark]));
  }

  close(): Promise<void> {
    return this.objects.close();
  }
}

/** What is somebody else's is not there, either. */
export function noSuch(kind: string, id: string): GatewayError {
  return new GatewayError(
    'not_found',
    `There is no ${kind} '${id}' here. A team has what was made through this gateway with one of its own keys.`,
    { code: 'not_found' },
  );
}

let latest = 0;

/** The time of making, in ms: never the same twice, so that lists, which go by it, keep the order of what is made at once. */
export function madeNow(): number {
  latest = Math.max(Date.now(), latest + 1);
  return latest;
}

export function markOf(key: ProviderKey | undefined): KeyMark {
  return { id: key?.id ?? '', digest: digestOf(key) };
}

function digestOf(key: ProviderKey | undefined): string {
  return key?.header === undefined ? '' : hashSecret(key.header[1]);
}

/**
 * The key that something was made with; where its secret is not there any more, the one that has taken its place.
 * @throws GatewayError `not_found` when neither is.
 */
export function keyMarked({ name, keys }: Provider, mark: KeyMark): ProviderKey | undefined {
  const key = keys.find((each) => digestOf(each) === mark.digest) ?? keys.find(({ id }) => id === mark.id);
  if (key !== undefined || keys.length === 0) return key;
  throw new GatewayError(
    'not_found',
    `It was made with the key ${mark.id} of ${name}, which is not configured any more.`,
  );
}
