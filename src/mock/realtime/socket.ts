/** A socket that was handed over by node:http after a request to go on in another protocol. */
import type { Duplex } from 'node:stream';
import { Pipe, type Tunnel } from '../../wire/tunnel.ts';
import { type Answer, joinPieces } from '../answer.ts';
import { type Accepted, dropsOpening, isAccepted } from './open.ts';

/** Answers on a socket, and talks where that was accepted. */
export async function answerUpgrade(
  opening: Answer | Accepted,
  socket: Duplex,
  head: Uint8Array,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  const beforeMs = (isAccepted(opening) ? opening.behaviour.beforeMs : opening.beforeMs) ?? 0;
  if (beforeMs > 0) await Bun.sleep(beforeMs);
  if (!isAccepted(opening)) {
    const body = Buffer.from(joinPieces(opening) as string);
    const headers = { ...opening.headers, 'content-length': String(body.length), connection: 'close' };
    socket.end(Buffer.concat([Buffer.from(headOf(opening.status, headers)), body]));
    return;
  }
  if (dropsOpening(opening.behaviour)) {
    socket.destroy();
    return;
  }
  socket.write(headOf(101, opening.headers));
  await opening.talk(tunnelOf(socket, head));
}

function headOf(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${status === 101 ? 'Switching Protocols' : 'Refused'}\r\n${lines.join('')}\r\n`;
}

function tunnelOf(socket: Duplex, head: Uint8Array): Tunnel {
  const heard = new Pipe();
  if (head.length > 0) heard.push(head);
  socket.on('data', (bytes: Uint8Array) => heard.push(bytes));
  socket.on('end', () => heard.end());
  socket.on('close', () => heard.end());
  return {
    read: () => heard.read(),
    write: (bytes) => void socket.write(bytes),
    get unsentBytes() {
      return socket.writableLength;
    },
    onDrained: undefined,
    end: () => void socket.end(),
    cut: () => void socket.destroy(),
  };
}
