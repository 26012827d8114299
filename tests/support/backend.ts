import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answer = (seen: Seen, response: ServerResponse) => void;

/**
 * A fake host of the service behind a balancer: gives configured responses, and records every
 * request except health checks.
 */
export interface Backend {
  readonly host: string;
  readonly seen: Seen[];
  answer: Answer;
  /** The response of /readyz. */
  ready: boolean;
  /** Stops listening and resets every connection. `listen` uses the same port again. */
  down(): Promise<void>;
  up(): Promise<void>;
}

export const answers = {
  json:
    (body: unknown, headers: Record<string, string> = {}): Answer =>
    (_, response) => {
      const text = JSON.stringify(body);
      response
        .writeHead(200, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          ...headers,
        })
        .end(text);
    },
  status:
    (status: number, headers: Record<string, string> = {}): Answer =>
    (_, response) =>
      response
        .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
        .end(`{"status":${status}}`),
  /** Reads the whole request, then closes the connection, as after kill -9 of a worker. */
  cut: ((_, response) => response.socket?.resetAndDestroy()) satisfies Answer,
  never: (() => undefined) satisfies Answer,
} as const;

export async function startBackend(answer: Answer = answers.json({ ok: true })): Promise<Backend> {
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('utf8');
    });
    request.on('end', () => {
      if (request.url === '/readyz') {
        response.writeHead(backend.ready ? 200 : 503).end();
        return;
      }
      const seen = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body,
      };
      backend.seen.push(seen);
      backend.answer(seen, response);
    });
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const backend: Backend = {
    host: `127.0.0.1:${port}`,
    seen: [],
    answer,
    ready: true,
    up: () => listen(port),
    down: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return backend;
}
