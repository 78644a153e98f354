/** Who asks: finds the admin token behind a request's secret. */
import type { MiddlewareHandler } from 'hono';
import { hashSecret } from '../core/secret.ts';
import { type AdminToken, findToken, isLive } from '../store/tokens.ts';
import { AdminError, unauthorised } from './errors.ts';
import type { AdminPowers } from './powers.ts';
import type { AdminEnv } from './resource.ts';

/** While the store cannot be asked, tokens it knew so lately go on: operators look at the gateway just then. */
const trustedMs = 60_000;
const maxTrusted = 100;

/** The store is asked every time: a token that was revoked anywhere is refused from then on. */
export function authenticate(powers: Pick<AdminPowers, 'store'>): MiddlewareHandler<AdminEnv> {
  const trusted = new Map<string, { token: AdminToken; atMs: number }>();

  async function find(hash: string): Promise<AdminToken | undefined> {
    const now = Date.now();
    let token: AdminToken | undefined;
    try {
      token = await findToken(await powers.store(), hash, now);
    } catch (error) {
      const known = trusted.get(hash);
      if (known !== undefined && now - known.atMs < trustedMs && isLive(known.token, now)) return known.token;
      throw new AdminError(
        'store_unavailable',
        'The store cannot be asked whose token this is: try again soon.',
        {
          cause: error,
        },
      );
    }
    trusted.delete(hash);
    if (token !== undefined) trusted.set(hash, { token, atMs: now });
    if (trusted.size > maxTrusted) trusted.delete(trusted.keys().next().value!);
    return token;
  }

  return async (c, next) => {
    const secret = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    const token = secret === undefined ? undefined : await find(hashSecret(secret));
    if (secret === undefined || token === undefined) throw unauthorised(secret !== undefined);
    c.set('token', token);
    c.set('secret', secret);
    await next();
  };
}
