/** What the client is answered with: headers and errors, in its own dialect. */
import type { GatewayError } from '../core/error.ts';
import { formatUsd } from '../core/money.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { Attempt, Call } from './call.ts';

/** Headers of an answer; `x-sluice-cost-usd` only where the cost is known before the first byte. */
export function answerHeaders(
  attempt: Attempt,
  contentType: string,
  withCost: boolean,
): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': contentType,
    'x-request-id': attempt.call.id,
    'x-sluice-target': attempt.target.id,
    'x-sluice-attempts': String(attempt.call.attempts),
  };
  if (attempt.lost.length > 0) headers['x-sluice-lost'] = headerText(attempt.lost.join(','));
  if (withCost && attempt.nanoUsd !== undefined) headers['x-sluice-cost-usd'] = formatUsd(attempt.nanoUsd);
  return headers;
}

/**
 * An error as the client's SDK expects it. A provider's refusal in the client's own dialect passes verbatim,
 * except of the gateway's key: that is not the client's business.
 */
export function errorResponse(
  error: GatewayError,
  dialect: Dialect,
  call: Call | undefined,
  id: string,
): Response {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'x-request-id': id };
  if (call !== undefined && call.attempts > 0) {
    headers['x-sluice-target'] = call.target;
    headers['x-sluice-attempts'] = String(call.attempts);
  }
  if (error.detail.retryAfterS !== undefined)
    headers['retry-after'] = String(Math.ceil(error.detail.retryAfterS));
  const { upstream } = error.detail;
  if (upstream !== undefined && error.kind !== 'upstream_auth' && call?.answeredBy === dialect) {
    headers['content-type'] = upstream.contentType || 'application/json';
    return new Response(upstream.body, { status: upstream.status, headers });
  }
  const { status, body } = dialect.writeError(error, id);
  return new Response(JSON.stringify(body), { status, headers });
}

const maxHeaderChars = 2048;

/** A header takes visible ASCII only, and not without end. */
function headerText(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, '?');
  return clean.length <= maxHeaderChars ? clean : `${clean.slice(0, maxHeaderChars)}…`.replace('…', '...');
}
