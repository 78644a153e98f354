/** Who calls: finds the virtual key behind a secret, in the configuration or in the store. */
import type { Key, Snapshot } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';
import { hashSecret } from '../core/secret.ts';
import type { TenantsChange } from '../core/tenants.ts';
import { type HeldKey, StoredTenants } from './stored-tenants.ts';

/** The key of calls that no client makes: it is charged to nobody, and may do anything. */
export const nobodysKey: Key = {
  id: '',
  name: '',
  team: '',
  organisation: '',
  limits: [],
  expiresAt: undefined,
  disabled: false,
};

export interface Keyring {
  /**
   * Takes a new configuration; what the store has stays beside it.
   * @returns it with the teams and organisations of the store: what calls are to be served from.
   */
  adopt(snapshot: Snapshot): Snapshot;
  /** Takes what has changed in the store. @returns the same: another one only where teams or organisations changed. */
  change(change: TenantsChange): Snapshot;
  /**
   * The key a secret belongs to.
   * @throws GatewayError `unauthorized` when the secret is missing, unknown or replaced, or its key disabled or expired;
   * `forbidden` when its team or organisation is switched off.
   */
  authenticate(secret: string | undefined, nowMs: number): Key;
  /** Whether all keys of the store are known: while they are not, a secret nobody knows may be one of theirs. */
  setWhole(whole: boolean): void;
  /** The key of an id, whether it may still be used or not; undefined: there is none any more. */
  find(id: string): Key | undefined;
  /** The key of a name. */
  named(name: string): Key | undefined;
  /** Those that limit their end users. */
  withEndUserLimits(): Key[];
}

/**
 * Secrets are hashed for each call: 0.2 µs, measured. A cache from secret to key would save half of that and keep
 * every client's secret in memory.
 * @param configuration the first.
 * @param alarm told of what is in the store and is not understood.
 */
export function createKeyring(
  configuration: Snapshot,
  alarm: (what: string, fields: Record<string, unknown>) => void = () => {},
): Keyring {
  let compiled = configuration;
  let snapshot = configuration;
  let owned = namesOf(configuration);
  const stored = new StoredTenants(alarm);
  let whole = true;

  const inConfiguration = (has: (key: Key) => boolean): Key | undefined => {
    for (const key of compiled.keys.values()) if (has(key)) return key;
    return undefined;
  };
  const keyOf = (held: HeldKey | undefined) => held && stored.compile(held, snapshot);

  /** A secret that is none of a key's of the configuration as it is now. */
  const findOther = (digest: string, nowMs: number): Key => {
    const previous = compiled.previousSecrets?.get(digest);
    if (previous !== undefined) {
      if (nowMs >= previous.untilMs) throw replaced(previous.key.name, previous.untilMs);
      return previous.key;
    }
    const held = stored.find(digest);
    if (held === undefined) {
      if (!whole) throw new GatewayError('unavailable', awaited, { code: 'keys_unavailable' });
      throw refuse(
        'This API key is not known here. Check that it was copied whole, and is meant for this gateway.',
      );
    }
    const { name, hash, previousUntil = 0 } = held.stored;
    if (owned.has(name)) {
      throw refuse(
        `This API key gives way to the one named "${name}" in the configuration. Use that one, or have this one made anew.`,
      );
    }
    if (hash !== digest && nowMs >= previousUntil) throw replaced(name, previousUntil);
    return stored.compile(held, snapshot);
  };

  return {
    adopt(next) {
      compiled = next;
      owned = namesOf(next);
      snapshot = stored.mergedInto(next);
      stored.forgetCompiled();
      return snapshot;
    },
    change(change) {
      if (stored.apply(change)) snapshot = stored.mergedInto(compiled);
      return snapshot;
    },
    setWhole(now) {
      whole = now;
    },
    find: (id) => inConfiguration((key) => key.id === id) ?? keyOf(stored.findId(id)),
    named: (name) => inConfiguration((key) => key.name === name) ?? keyOf(stored.findName(name)),
    withEndUserLimits: () =>
      [...compiled.keys.values(), ...stored.withEndUserLimits(snapshot)].filter(
        ({ endUserLimits }) => endUserLimits !== undefined,
      ),
    authenticate(secret, nowMs) {
      if (secret === undefined || secret === '') {
        throw refuse(
          'No API key was sent. Send one as `Authorization: Bearer KEY`, `x-api-key: KEY`, ' +
            '`x-goog-api-key: KEY` or `?key=KEY`.',
        );
      }
      const digest = hashSecret(secret);
      const key = compiled.keys.get(digest) ?? findOther(digest, nowMs);
      if (key.disabled) {
        throw refuse(
          `The API key "${key.name}" was revoked or switched off. Ask whoever runs this gateway for another.`,
        );
      }
      if (key.expiresAt !== undefined && nowMs >= key.expiresAt) {
        const when = new Date(key.expiresAt).toISOString();
        throw refuse(
          `The API key "${key.name}" expired at ${when}. Ask whoever runs this gateway for another.`,
        );
      }
      if (key.off !== undefined) {
        throw new GatewayError(
          'forbidden',
          `The ${key.off} "${key[key.off]}" of the API key "${key.name}" is switched off. ` +
            'Ask whoever runs this gateway.',
          { code: `${key.off}_disabled` },
        );
      }
      return key;
    },
  };
}

/** No 401: clients would take it for final, and people would look for a mistake of theirs. */
const awaited =
  'This API key cannot be looked up at the moment: the gateway was started and has not reached its store yet. Try again soon.';

function namesOf({ keys }: Pick<Snapshot, 'keys'>): ReadonlySet<string> {
  return new Set([...keys.values()].map(({ name }) => name));
}

function replaced(name: string, untilMs: number): GatewayError {
  const when = new Date(untilMs).toISOString();
  return refuse(`This secret of the API key "${name}" was replaced and ended at ${when}. Use its new one.`);
}

function refuse(message: string): GatewayError {
  return new GatewayError('unauthorized', message, { code: 'invalid_api_key' });
}

/** The secret a request carries, from the places the official SDKs put it; undefined when in none of them. */
export function extractSecret(headers: Pick<Headers, 'get'>, url: string): string | undefined {
  return (
    bearer(headers.get('authorization')) ||
    headers.get('x-api-key') ||
    headers.get('x-goog-api-key') ||
    queryKey(url) ||
    undefined
  );
}

/** The scheme's case does not matter: https://www.rfc-editor.org/rfc/rfc9110#section-11.1 */
function bearer(header: string | null): string | undefined {
  if (header === null) return undefined;
  if (!header.startsWith('Bearer ') && header.slice(0, 7).toLowerCase() !== 'bearer ') return undefined;
  return header.slice(7).trim();
}

function queryKey(url: string): string | null | undefined {
  const question = url.indexOf('?');
  return question < 0 ? undefined : new URLSearchParams(url.slice(question)).get('key');
}
