import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { Closable } from '../../kernel/lifecycle';
import { closeWithConnection } from '../../platform/http/pipelined';
import { listening } from '../listening';
import type { OpsSources } from '../ops/fleet-view';
import { createOpsPage } from '../ops/ops-page';
import { createCollector } from './collector';

export interface OpsOptions {
  readonly host: string;
  readonly port: number;
  readonly runtimeDir: string;
  /** Metrics of this process that belong to no worker: restarts, ready workers, … */
  readonly own?: Registry;
  readonly page: OpsSources;
}

/** Bounds the answer when a worker is stuck; Prometheus waits 10 s by default. */
const COLLECT_TIMEOUT_MS = 500;

/** Serves `GET /metrics`, summed over the host's workers, and the ops page. Keep it private. */
export async function startOps({
  host,
  port,
  runtimeDir,
  own,
  page: sources,
}: OpsOptions): Promise<Closable & { readonly address: AddressInfo }> {
  const collector = createCollector(runtimeDir, COLLECT_TIMEOUT_MS);
  const page = createOpsPage(sources, () => collector.values(own));
  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000 },
    (request, response) => {
      closeWithConnection(request, response);
      const path = (request.url ?? '').split('?')[0];
      if (page.handle(path ?? '', request, response)) return;
      if (path !== '/metrics') return void response.writeHead(404).end();
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return void response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      collector.collect(own).then(
        ({ text, contentType, silent }) =>
          response
            .writeHead(200, {
              'Content-Type': contentType,
              'X-Silent-Workers': silent,
              'Cache-Control': 'no-store',
            })
            .end(text),
        () => response.writeHead(500).end(),
      );
    },
  );
  server.maxConnections = 64;
  await listening(server, { host, port });
  server.on('error', () => {});
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        page.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
