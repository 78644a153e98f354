/** Bytes that a socket did not take at once: kept in their order, and sent when there is room. */
import type { Socket } from 'bun';

export class Unsent {
  /** How many wait. */
  bytes = 0;
  private readonly parts: Uint8Array[] = [];

  /** @param part is kept as it is, and must not change. */
  add(part: Uint8Array): void {
    this.parts.push(part);
    this.bytes += part.length;
  }

  /** @returns whether all is out. */
  sendTo(socket: Pick<Socket<unknown>, 'write'>): boolean {
    const { parts } = this;
    let sent = 0;
    for (const part of parts) {
      const taken = Math.max(0, socket.write(part));
      this.bytes -= taken;
      if (taken < part.length) {
        parts[sent] = part.subarray(taken);
        break;
      }
      sent++;
    }
    parts.splice(0, sent);
    return parts.length === 0;
  }

  clear(): void {
    this.parts.length = 0;
    this.bytes = 0;
  }
}
