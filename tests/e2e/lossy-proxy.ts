/** A TCP proxy before PostgreSQL that lets COMMIT through and its answer not: for tests. */
import { connect, createServer, type Socket } from 'node:net';

export interface LossyProxy {
  port: number;
  loseCommits: boolean;
  /** How many answers were lost. */
  lost: number;
  stop(): void;
}

export async function startLossyProxy(port: number): Promise<LossyProxy> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        server.destroy();
        sockets.delete(socket);
      });
    }
    let losing = false;
    client.on('data', (bytes) => {
      if (proxy.loseCommits && bytes.includes('commit')) losing = true;
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!losing) {
        client.write(bytes);
        return;
      }
      // It has answered, so it has committed.
      proxy.lost++;
      client.destroy();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const proxy: LossyProxy = {
    port: (listener.address() as { port: number }).port,
    loseCommits: false,
    lost: 0,
    stop() {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return proxy;
}
