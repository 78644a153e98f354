/** What a key may ask for, and from where: the lists of key, team and organisation, which must all allow it. */
import type { Key, Restriction } from '../config/snapshot.ts';
import { GatewayError } from '../core/error.ts';

/** So many names of a list are told. */
const maxNamed = 10;

/**
 * Lets a key use a model by the name the client says: a key that may use `smart` may use it whatever targets lie
 * behind it, without being allowed those targets by their own names.
 * @throws GatewayError `forbidden`, naming up to ten models that are allowed.
 */
export function authorise(key: Key, model: string): void {
  if (key.restrictions === undefined) return;
  for (const { models, ...restriction } of key.restrictions) {
    if (models === undefined || models.has(model)) continue;
    throw new GatewayError(
      'forbidden',
      `${nameOf(key, restriction)} may not use the model "${model}". It may use ${listed(models.said, 'no model at all')}.`,
      { param: 'model', code: 'model_not_allowed' },
    );
  }
}

export function mayUse(key: Key, model: string): boolean {
  return key.restrictions?.every(({ models }) => models === undefined || models.has(model)) ?? true;
}

/**
 * Lets a key ask for an operation from where it asks.
 * @param operation undefined: for what every key may do.
 * @param address of the client; asked for only where it matters.
 * @throws GatewayError `forbidden`, naming the operations that are allowed.
 */
export function authoriseCall(key: Key, operation: string | undefined, address: () => string): void {
  if (key.restrictions === undefined) return;
  for (const restriction of key.restrictions) {
    const { operations, addresses } = restriction;
    if (addresses !== undefined && !addresses.has(address())) {
      // Which addresses would do is not told: whoever found a key should not learn where to go with it.
      throw new GatewayError(
        'forbidden',
        `${nameOf(key, restriction)} may not be used from the address ${address()}. ` +
          'Call from one that is allowed, or have this one allowed.',
        { code: 'address_not_allowed' },
      );
    }
    if (operations !== undefined && operation !== undefined && !operations.has(operation)) {
      throw new GatewayError(
        'forbidden',
        `${nameOf(key, restriction)} may not be used for ${operation}. ` +
          `It may be used for ${listed([...operations], 'nothing at all')}.`,
        { code: 'operation_not_allowed' },
      );
    }
  }
}

function nameOf(key: Key, { owner, name }: Pick<Restriction, 'owner' | 'name'>): string {
  return owner === 'key' ? `The API key "${name}"` : `The ${owner} "${name}" of the API key "${key.name}"`;
}

function listed(names: readonly string[], none: string): string {
  if (names.length === 0) return none;
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : '';
  return names.slice(0, maxNamed).join(', ') + more;
}
