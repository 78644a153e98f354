/** Why a change of organisations, teams or keys is refused. */
import type { FileTenants } from '../core/tenants.ts';

/** A wish that cannot be met; its message is for whoever asked. */
export class TenantError extends Error {
  override readonly name = 'TenantError';

  constructor(
    /** `unknown`: what it would belong to is not there; `owned`: by the configuration file. */
    readonly kind: 'not_found' | 'taken' | 'owned' | 'in_use' | 'unknown',
    message: string,
  ) {
    super(message);
  }
}

/** @throws TenantError `owned` */
export function requireNotOwned(file: FileTenants, kind: keyof FileTenants, name: string): void {
  if (!file[kind].has(name)) return;
  throw new TenantError(
    'owned',
    `The ${kind.slice(0, -1)} "${name}" belongs to the configuration file. Change it there, or choose another name.`,
  );
}
