/** What headers of an answer say of the limits of the key it was asked with: read before the provider has to refuse. */
import { readDurationMs } from './durations.ts';

/**
 * How long nothing can be asked with the key, as far as the headers tell: of all limits that are used up, the one that
 * lasts longest. Undefined: something is left, or nobody says when there will be.
 *
 * `x-ratelimit-remaining-requests: 0` and `x-ratelimit-reset-requests: 6m0s`, of tokens and other units alike;
 * `anthropic-ratelimit-tokens-remaining: 0` and `anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:00Z`; `ratelimit:
 * limit=9, remaining=0, reset=30` and `ratelimit: "default";r=0;t=30`.
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 * @param head status line and headers in lower case, each on its line.
 */
export function readUsedUpMs(head: string, nowMs: number): number | undefined {
  // Of every answer this is asked, and of nearly all it is not so.
  const from = head.indexOf('ratelimit');
  if (from < 0 || !mayBeUsedUp(head, from)) return undefined;
  const headers = new Map<string, string>();
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && line.includes('ratelimit'))
      headers.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  let longest: number | undefined;
  for (const [name, value] of headers) {
    for (const reset of name === 'ratelimit' ? resetsIn(value) : resetBeside(name, value, headers)) {
      const restMs = readDurationMs(reset, nowMs);
      if (restMs !== undefined && restMs > (longest ?? 0)) longest = restMs;
    }
  }
  return longest;
}

/** Whether something that remains begins with a 0, or all is said in one header. */
function mayBeUsedUp(head: string, from: number): boolean {
  for (let at = head.indexOf('remaining', from); at >= 0; at = head.indexOf('remaining', at + 9)) {
    let value = head.indexOf(':', at) + 1;
    while (head[value] === ' ') value++;
    if (head[value] === '0') return true;
  }
  return head.indexOf('\nratelimit:', from - 1) >= 0;
}

function resetBeside(name: string, value: string, headers: ReadonlyMap<string, string>): string[] {
  if (!name.includes('remaining') || value === '' || Number(value) !== 0) return [];
  const reset = headers.get(name.replace('remaining', 'reset'));
  return reset === undefined ? [] : [reset];
}

/** Of one header with all parameters, for one limit or a list of them. */
function resetsIn(value: string): string[] {
  // In the older form commas stand between parameters, in the newer one between limits.
  const limits = value.includes(';') ? value.split(',') : [value];
  return limits.flatMap((limit) => {
    const parameters = new Map(
      limit.split(/[;,]/).map((each): [string, string] => {
        const [name = '', text = ''] = each.split('=', 2);
        return [name.trim(), text.trim()];
      }),
    );
    const remaining = parameters.get('remaining') ?? parameters.get('r');
    const reset = parameters.get('reset') ?? parameters.get('t');
    return remaining === '0' && reset !== undefined ? [reset] : [];
  });
}
