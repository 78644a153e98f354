/** How a connection becomes a WebSocket. https://www.rfc-editor.org/rfc/rfc6455#section-4 */
import { createHash, randomBytes } from 'node:crypto';

const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What a client asks with: the key is to be made anew each time. */
export function newHandshakeKey(): string {
  return randomBytes(16).toString('base64');
}

/** The headers of a client that asks to switch. */
export function switchHeaders(key: string): Record<string, string> {
  return {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
  };
}

/** What a server has understood answers the key with this in `sec-websocket-accept`. */
export function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + magic)
    .digest('base64');
}

/** Whether all else a client's request to switch has to say is said. */
export function asksProperly(header: (name: string) => string | null): boolean {
  const wanted = header('connection')?.toLowerCase().split(',') ?? [];
  if (!wanted.some((word) => word.trim() === 'upgrade')) return false;
  return /^[A-Za-z0-9+/]{22}==$/.test(header('sec-websocket-key') ?? '');
}

/** The headers of an answer that switches, to a client that has asked with a proper key. */
export function acceptHeaders(asked: { get(name: string): string | null }): Record<string, string> {
  return {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-accept': acceptKey(asked.get('sec-websocket-key') ?? ''),
  };
}

/** Whether a client's headers ask to switch. */
export function asksToSwitch(header: (name: string) => string | null | undefined): boolean {
  return (
    header('upgrade')?.toLowerCase() === 'websocket' &&
    header('sec-websocket-version') === '13' &&
    (header('sec-websocket-key') ?? '') !== ''
  );
}
