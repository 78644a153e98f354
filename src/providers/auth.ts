/** How a provider's key travels: the header that carries it, ready to send. */

export type AuthScheme = 'bearer' | 'x-api-key';

/** @returns the header for `secret`; undefined when there is no secret to send. */
export function authHeader(
  scheme: AuthScheme,
  secret: string,
): readonly [name: string, value: string] | undefined {
  if (secret === '') return undefined;
  return scheme === 'bearer' ? ['authorization', `Bearer ${secret}`] : ['x-api-key', secret];
}

/**
 * The first of `variables` that is set to more than nothing.
 * An empty variable switches its provider off, as if it were not there.
 */
export function secretFrom(
  env: Readonly<Record<string, string | undefined>>,
  variables: readonly string[],
): string {
  for (const name of variables) {
    const value = env[name]?.trim();
    if (value) return value;
  }
  return '';
}
