import type { ListenOptions, Server } from 'node:net';

/** Resolves when the server listens; rejects with the error of listening there (EADDRINUSE …). */
export function listening(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
}
