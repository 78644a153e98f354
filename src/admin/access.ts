/** Who may do what: roles, what they are able to, and the tenants a token is confined to. */
import type { AdminToken, Role } from '../store/tokens.ts';
import { AdminError } from './errors.ts';

const all: readonly Role[] = ['owner', 'admin', 'billing', 'viewer', 'member'];
const staff: readonly Role[] = ['owner', 'admin'];

/** Each route asks for one of these; `gateway`: of no use to a token that is confined to a tenant. */
export const abilities = {
  me: { roles: all },
  'tenants:read': { roles: all },
  'organisations:write': { roles: staff, gateway: true },
  'pricing:write': { roles: [...staff, 'billing'], gateway: true },
  'teams:write': { roles: staff },
  'keys:write': { roles: [...staff, 'member'] },
  'limits:read': { roles: all },
  'usage:read': { roles: all },
  'calls:read': { roles: all },
  'prices:read': { roles: all },
  'prices:write': { roles: staff, gateway: true },
  'provider-keys:read': { roles: [...staff, 'viewer'], gateway: true },
  'provider-keys:write': { roles: ['owner'], gateway: true },
  health: { roles: [...staff, 'viewer'], gateway: true },
  explain: { roles: [...staff, 'viewer', 'member'] },
  'audit:read': { roles: [...staff, 'viewer'] },
  'tokens:read': { roles: [...staff, 'viewer'] },
  'tokens:write': { roles: staff },
} as const satisfies Record<string, { roles: readonly Role[]; gateway?: true }>;

export type Ability = keyof typeof abilities;

/** The tenant that a token sees and changes; empty: all of them. */
export interface Scope {
  organisation?: string | undefined;
  team?: string | undefined;
}

export function scopeOf({ organisation, team }: AdminToken): Scope {
  return { organisation, team };
}

export function isConfined({ organisation }: Scope): boolean {
  return organisation !== undefined;
}

/** Whether what belongs to `of` lies within the scope. What belongs to nobody lies within no tenant's. */
export function covers(scope: Scope, of: Scope): boolean {
  if (scope.organisation !== undefined && scope.organisation !== of.organisation) return false;
  return scope.team === undefined || scope.team === of.team;
}

/** @throws AdminError `forbidden`, saying what would be needed. */
export function requireAbility(token: AdminToken, ability: Ability): void {
  const { roles, gateway }: { roles: readonly Role[]; gateway?: true } = abilities[ability];
  if (!roles.includes(token.role)) {
    throw new AdminError(
      'forbidden',
      `The token "${token.name}" has the role ${token.role}; this takes ${roles.join(' or ')}.`,
    );
  }
  if (gateway === true && isConfined(scopeOf(token))) {
    throw new AdminError(
      'forbidden',
      `The token "${token.name}" is confined to a tenant; this is about the whole gateway.`,
    );
  }
}
