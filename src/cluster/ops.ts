import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Closable } from '../lifecycle';
import { createCollector } from './metrics-collector';

export interface OpsOptions {
  readonly host: string;
  readonly port: number;
  readonly runtimeDir: string;
  /** Metrics of the asked process itself that are no worker's: restarts, workers ready, … */
  readonly own?: Registry;
}

/** Bounds the answer when a worker is stuck; Prometheus' own default is 10 s. */
const COLLECT_TIMEOUT_MS = 500;

/** Serves `GET /metrics`, summed over the host's workers. Meant for a private address. */
export async function startOps({ host, port, runtimeDir, own }: OpsOptions): Promise<Closable & { readonly address: AddressInfo }> {
  const collector = createCollector(runtimeDir, COLLECT_TIMEOUT_MS);
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (path !== '/metrics') return void response.writeHead(404).end();
    if (request.method !== 'GET' && request.method !== 'HEAD') return void response.writeHead(405, { Allow: 'GET, HEAD' }).end();
    collector.collect(own).then(
      ({ text, contentType, silent }) =>
        response.writeHead(200, { 'Content-Type': contentType, 'X-Silent-Workers': silent, 'Cache-Control': 'no-store' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  server.on('error', () => {});
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
