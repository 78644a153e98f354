/** What the client is answered with: headers and errors, in its own dialect. */
import type { GatewayError } from '../core/error.ts';
import { formatUsd } from '../core/money.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
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
    'x-sluice-target': headerText(attempt.target.id),
    'x-sluice-attempts': String(attempt.call.attempts),
  };
  const { idHeader } = attempt.call.dialect;
  if (idHeader !== undefined) headers[idHeader] = attempt.call.id;
  if (attempt.lost.length > 0) headers['x-sluice-lost'] = headerText(attempt.lost.join(','));
  // What the call cost: attempts before the last may have, too.
  if (withCost && attempt.nanoUsd !== undefined)
    headers['x-sluice-cost-usd'] = formatUsd(attempt.call.spentNanoUsd);
  return headers;
}

/**
 * An error as the client's SDK expects it. A provider's refusal in the client's own dialect passes verbatim,
 * except of the gateway's key: that is not the client's business.
 */
export function errorResponse(
  error: GatewayError,
  dialect: ClientDialect,
  call: Call | undefined,
  id: string,
): Response {
  const headers: Record<string, string> = { 'content-type': 'application/json', 'x-request-id': id };
  if (call !== undefined && call.attempts > 0) {
    headers['x-sluice-target'] = headerText(call.target);
    headers['x-sluice-attempts'] = String(call.attempts);
  }
  if (error.detail.retryAfterS !== undefined)
    headers['retry-after'] = String(Math.ceil(error.detail.retryAfterS));
  // Both vendors' SDKs obey it.
  if (error.detail.hopeless) headers['x-should-retry'] = 'false';
  if (dialect.idHeader !== undefined) headers[dialect.idHeader] = id;
  const { upstream } = error.detail;
  if (upstream !== undefined && passesVerbatim(error) && call?.answeredBy === dialect) {
    return new Response(upstream.body, { status: upstream.status, headers });
  }
  const { status, body } = dialect.writeError(error, id);
  return new Response(JSON.stringify(body), { status, headers });
}

/**
 * What a proxy in between says in HTML is no error of any dialect; what is said of our key is not the client's. The
 * body tells, not its type: some hosts send JSON as application/octet-stream.
 */
function passesVerbatim({ kind, detail }: GatewayError): boolean {
  const first = detail.upstream?.body.find((byte) => byte > 0x20);
  return kind !== 'upstream_auth' && first === 0x7b;
}

const maxHeaderChars = 2048;
const unfit = /[^\x20-\x7e]/;

/** A header takes visible ASCII only, and not without end; clients choose names that are neither. */
function headerText(text: string): string {
  if (text.length <= maxHeaderChars && !unfit.test(text)) return text;
  const clean = text.replace(/[^\x20-\x7e]/g, '?');
  return clean.length <= maxHeaderChars ? clean : `${clean.slice(0, maxHeaderChars)}...`;
}
