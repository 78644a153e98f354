/** Secrets are kept and compared as hashes only. */
import { hash } from 'node:crypto';

/** SHA-256 as hex: what a key or token is known by, in configuration, store and look-up alike. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}
