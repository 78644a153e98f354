/** Who may do what: roles, what they are able to, and the tenants a token is confined to. */
import type { AdminToken, Role } from '../store/tokens.ts';
import { AdminError } from './errors.ts';

const all: readonly Role[] = ['owner', 'admin', 'billing', 'viewer', 'member'];
const staff: readonly Role[] = ['owner', 'admin'];

interface Rule {
  roles: readonly Role[];
  takes?: 'organisation' | 'gateway';
}

/**
 * Each route asks for one of these. `takes`: more than a token has that is confined to a team, or to an organisation too:
 * whoever has a part of the gateway changes what is in it, and not how much of everything it may use.
 */
export const abilities = {
  me: { roles: all },
  'tenants:read': { roles: all },
  'organisations:write': { roles: staff, takes: 'gateway' },
  'pricing:write': { roles: [...staff, 'billing'], takes: 'gateway' },
  'teams:write': { roles: staff, takes: 'organisation' },
  'keys:write': { roles: [...staff, 'member'] },
  'limits:read': { roles: all },
  'usage:read': { roles: all },
  'calls:read': { roles: all },
  'prices:read': { roles: all },
  'prices:write': { roles: staff, takes: 'gateway' },
  'provider-keys:read': { roles: [...staff, 'viewer'], takes: 'gateway' },
  'provider-keys:write': { roles: ['owner'], takes: 'gateway' },
  health: { roles: [...staff, 'viewer'], takes: 'gateway' },
  explain: { roles: [...staff, 'viewer', 'member'] },
  'audit:read': { roles: [...staff, 'viewer'] },
  'tokens:read': { roles: [...staff, 'viewer'] },
  'tokens:write': { roles: staff },
} as const satisfies Record<string, Rule>;

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
  const { roles, takes }: Rule = abilities[ability];
  const { organisation, team } = token;
  if (!roles.includes(token.role)) {
    throw new AdminError(
      'forbidden',
      `The token "${token.name}" has the role ${token.role}; this takes ${roles.join(' or ')}.`,
    );
  }
  if (takes === 'gateway' && organisation !== undefined) {
    throw new AdminError(
      'forbidden',
      `The token "${token.name}" is confined to a tenant; this is about the whole gateway.`,
    );
  }
  if (takes === 'organisation' && team !== undefined) {
    throw new AdminError(
      'forbidden',
      `The token "${token.name}" is confined to a team; this is for whoever has its organisation.`,
    );
  }
}
