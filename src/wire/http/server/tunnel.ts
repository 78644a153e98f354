/** A client's connection that goes on in another protocol. */
import type { Tunnel } from '../../tunnel.ts';
import { HttpError } from '../head.ts';
import { Inflow, type Source } from './inflow.ts';
import type { Outflow } from './outflow.ts';

export class ServerTunnel implements Tunnel {
  onDrained: (() => void) | undefined;
  private readonly inflow: Inflow;

  constructor(
    private readonly connection: Source & { finish(how: 'shutdown'): void; cut(): void },
    private readonly out: Outflow,
  ) {
    this.inflow = new Inflow(connection);
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
    this.out.write(bytes);
  }

  get unsentBytes(): number {
    return this.out.unsentBytes;
  }

  end(): void {
    this.connection.finish('shutdown');
  }

  cut(): void {
    this.connection.cut();
  }
}
