/** How calls are authorised: by a header that carries a key, or by headers made for each request. */

/** Ways a key travels. */
export const keySchemes = ['bearer', 'api-key', 'x-api-key', 'x-goog-api-key'] as const;

export type KeyScheme = (typeof keySchemes)[number];

/** Whose signature or token authorises a call that carries no key. */
export type Identity = 'aws-sigv4' | 'google';

export type AuthScheme = KeyScheme | Identity;

/** What a signature covers. The method is always POST. */
export interface Signable {
  url: string;
  body: Uint8Array | string;
}

/**
 * Headers that authorise one request; at once where nothing has to be waited for.
 * Rejects with GatewayError `upstream_auth` or `upstream_network`.
 */
export type Authorise = (request: Signable) => Record<string, string> | Promise<Record<string, string>>;

/** @returns the header for `secret`; undefined when there is no secret to send. */
export function authHeader(
  scheme: KeyScheme,
  secret: string,
): readonly [name: string, value: string] | undefined {
  if (secret === '') return undefined;
  return scheme === 'bearer' ? ['authorization', `Bearer ${secret}`] : [scheme, secret];
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
