/** A typed client of the admin API, for the console and for tests: what a route takes and gives is known when it is compiled. */
import { hc } from 'hono/client';
import type { AdminApi } from './admin.ts';

/**
 * `client.keys.$get({ query: { limit: '10' } })` asks `GET /admin/v1/keys?limit=10`.
 * @param base of the gateway, without a path.
 */
export function adminClient(base: string, token: string) {
  return hc<AdminApi>(base, { headers: { authorization: `Bearer ${token}` } }).admin.v1;
}
