import { connect, createServer, type Socket } from 'node:net';

/** An address that can be made to lead to another server, as the name of a hosted database does when it fails over. */
export interface MovingAddress {
  readonly port: number;
  /** New connections go there from now on; with null they are refused. Those that are open stay where they are. */
  leadTo(port: number | null): void;
  close(): Promise<void>;
}

export async function openMovingAddress(): Promise<MovingAddress> {
  let target: number | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    if (target === null) {
      socket.destroy();
      return;
    }
    const onwards = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [socket, onwards],
      [onwards, socket],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('No port was given.');
  return {
    port: address.port,
    leadTo: (port) => {
      target = port;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
