import { Agent, request } from 'node:http';
import { eventually } from './http';

interface Reply {
  readonly status: number;
  readonly text: string;
}

/** One persistent connection, so that all its requests reach the same worker. */
export interface KeptAlive {
  send(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; headers?: Readonly<Record<string, string>> },
  ): Promise<Reply>;
  /** Connections opened so far: 1 while the connection persists. */
  opened(): number;
  close(): void;
}

export function keptAlive(baseUrl: string): KeptAlive {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  return {
    send: (method, path, { token, body, headers = {} } = {}) =>
      new Promise((resolve, reject) => {
        const payload = body === undefined ? undefined : JSON.stringify(body);
        const outgoing = request(
          `${baseUrl}${path}`,
          {
            method,
            agent,
            timeout: 20_000,
            headers: {
              ...headers,
              ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
              ...(payload === undefined
                ? {}
                : {
                    'content-type':
                      method === 'PATCH' && path.startsWith('/api/users')
                        ? 'application/merge-patch+json'
                        : 'application/json',
                    'content-length': Buffer.byteLength(payload),
                  }),
            },
          },
          (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () =>
              resolve({
                status: response.statusCode ?? 0,
                text: Buffer.concat(chunks).toString('utf8'),
              }),
            );
            response.on('error', reject);
          },
        );
        outgoing.on('socket', (socket) => sockets.add(socket));
        outgoing.on('timeout', () =>
          outgoing.destroy(new Error(`${method} ${path} took too long`)),
        );
        outgoing.on('error', reject);
        outgoing.end(payload);
      }),
    opened: () => sockets.size,
    close: () => agent.destroy(),
  };
}

/** `count` persistent connections that together reach all of `workers` workers. */
export async function keptAliveOnAll(
  baseUrl: string,
  count: number,
  workers: number,
): Promise<KeptAlive[]> {
  const found = new Map<number, KeptAlive[]>();
  const opened = () => [...found.values()].flat();
  // Connect one after the other: a busy worker is skipped at first and gets a later connection.
  await eventually(
    `${count} connections on ${workers} workers`,
    async () => {
      const connection = keptAlive(baseUrl);
      const worker = await workerOf(connection);
      found.set(worker, [...(found.get(worker) ?? []), connection]);
      return found.size === workers && opened().length >= count;
    },
    60_000,
  );
  const chosen: KeptAlive[] = [];
  for (let i = 0; chosen.length < count; i += 1)
    chosen.push(...[...found.values()].flatMap((ofOne) => ofOne[i] ?? []));
  for (const surplus of opened().filter((one) => !chosen.slice(0, count).includes(one)))
    surplus.close();
  return chosen.slice(0, count);
}

async function workerOf(connection: KeptAlive): Promise<number> {
  return (JSON.parse((await connection.send('GET', '/health')).text) as { worker: number }).worker;
}
