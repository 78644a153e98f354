/** What the client is answered with: headers and errors, in its own dialect. */
import type { GatewayError } from '../core/error.ts';
import { isObject, type Json } from '../core/json.ts';
import { formatUsd } from '../core/money.ts';
import type { ClientDialect } from '../dialects/dialect.ts';
import { redactSecrets } from '../dialects/upstream-error.ts';
import type { WrittenAnswer } from '../wire/http/server/messages.ts';
import type { Attempt } from './attempt.ts';
import type { Call } from './call.ts';

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
 * except of the gateway's key: what is said of that is not the client's business.
 */
export function errorResponse(
  error: GatewayError,
  dialect: ClientDialect,
  call: Call | undefined,
  id: string,
): WrittenAnswer {
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
  if (upstream !== undefined && call?.answeredBy === dialect && error.kind !== 'upstream_auth') {
    const said = passable(upstream.body);
    if (said !== undefined) return { status: upstream.status, headers, body: said };
  }
  const { status, body } = dialect.writeError(error, id);
  return { status, headers, body: JSON.stringify(body) };
}

/**
 * A provider's refusal as it came, but for what it tells of the provider's account. Undefined for what a proxy in
 * between says in HTML, which is no error of any dialect, and for a host's own shape (`{"message":…}`), in which no
 * client finds the words. The body tells, not its type: some hosts send JSON as application/octet-stream.
 */
function passable(body: Uint8Array): Uint8Array | string | undefined {
  const text = new TextDecoder().decode(body);
  const clean = redactSecrets(text);
  try {
    const said: Json = JSON.parse(clean);
    if (!isObject(said) || !isObject(said.error)) return undefined;
  } catch {
    return undefined;
  }
  return clean === text ? body : clean;
}

const maxHeaderChars = 2048;
const unfit = /[^\x20-\x7e]/;

/** A header takes visible ASCII only, and not without end; clients choose names that are neither. */
function headerText(text: string): string {
  if (text.length <= maxHeaderChars && !unfit.test(text)) return text;
  const clean = text.replace(/[^\x20-\x7e]/g, '?');
  return clean.length <= maxHeaderChars ? clean : `${clean.slice(0, maxHeaderChars)}...`;
}
