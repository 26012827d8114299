import { connect, createServer, type ListenOptions, type Server } from 'node:net';

/** Resolves when the server listens; rejects with the error of listening there (EADDRINUSE …). */
export function listening(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
}

/** Rejects with the error of listening there, if any (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function probeAddress(host: string, port: number): Promise<void> {
  const server = createServer();
  await listening(server, { host, port });
  await new Promise((resolve) => server.close(resolve));
}

/** Whether a process listens on the socket file. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
