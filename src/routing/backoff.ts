/** Whether, and when, it makes sense to ask the same targets once more. */
import type { ErrorKind, GatewayError } from '../core/error.ts';

/** The first pause is at most so long, and each may be twice as long as the one before. */
const baseMs = 250;
/** No pause is longer: a provider that asks for more is not waited for. */
const maxPauseMs = 8_000;

const passing: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  'upstream_network',
  'upstream_timeout',
  'upstream_overloaded',
  'upstream_unavailable',
  'upstream_rate_limited',
  'upstream_invalid',
]);

/** Whether the same may go well in a moment. */
export function mayPass(error: GatewayError): boolean {
  return passing.has(error.kind) && waitMs(error) <= maxPauseMs;
}

/**
 * Full jitter: any time up to a bound that doubles, so that those who failed together do not come back together; but
 * not before the first of the providers wants to be asked again.
 * @param round how often this was done before.
 * @param errors of those who are asked again.
 */
export function pauseMs(round: number, errors: readonly GatewayError[], random: () => number): number {
  const drawn = random() * Math.min(maxPauseMs, baseMs * 2 ** round);
  return Math.round(Math.max(drawn, Math.min(...errors.map(waitMs))));
}

function waitMs({ detail }: GatewayError): number {
  return (detail.retryAfterS ?? 0) * 1000;
}
