/** A client's connection that goes on in another protocol. */
import type { Tunnel } from '../../tunnel.ts';
import { HttpError } from '../head.ts';
import { Inflow, type Source } from './inflow.ts';
import type { Line } from './line.ts';

export class ServerTunnel implements Tunnel {
  onDrained: (() => void) | undefined;
  private readonly inflow: Inflow;

  constructor(
    source: Source,
    private readonly line: Line,
  ) {
    this.inflow = new Inflow(source);
  }

  /** Takes what came. */
  push(bytes: Uint8Array): void {
    this.inflow.push(bytes);
  }

  /** The connection is gone. */
  closed(): void {
    this.inflow.fail(new HttpError('closed', 'the connection was closed'));
  }

  read(): ReturnType<Tunnel['read']> {
    return this.inflow.read();
  }

  write(bytes: Uint8Array): void {
    this.line.out.write(bytes);
  }

  get unsentBytes(): number {
    return this.line.out.unsentBytes;
  }

  end(): void {
    this.line.finish('shutdown');
  }

  cut(): void {
    this.line.cut();
  }
}
