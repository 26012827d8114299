import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { problems } from '../../kernel/errors';
import type { Closable } from '../../kernel/lifecycle';
import { closeWithConnection } from '../../platform/http/pipelined';
import { PROBLEM_TYPE, problemBody } from '../../platform/http/problem';
import { listening } from '../listening';
import type { OpsSources } from '../ops/fleet-view';
import { createOpsPage } from '../ops/ops-page';
import { createRefusals } from '../ops/own-visitors';
import { createCollector } from './collector';

export interface OpsOptions {
  readonly host: string;
  readonly port: number;
  /** Names in Host that browsers may use, besides `host`, localhost and addresses. */
  readonly names: readonly string[];
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
  names,
  runtimeDir,
  own,
  page: sources,
}: OpsOptions): Promise<Closable & { readonly address: AddressInfo }> {
  const collector = createCollector(runtimeDir, COLLECT_TIMEOUT_MS);
  const page = createOpsPage(sources, () => collector.values(own));
  const refusalOf = createRefusals([host, ...names]);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?');
    const refusal = refusalOf(request, path);
    if (refusal !== undefined) return refuse(request, response, refusal);
    if (await page.handle(path, request, response)) return;
    if (path !== '/metrics') return void response.writeHead(404).end();
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return void response.writeHead(405, { Allow: 'GET, HEAD' }).end();
    const { text, contentType, silent } = await collector.collect(own);
    const headers = { 'Content-Type': contentType, 'X-Silent-Workers': silent };
    response.writeHead(200, { ...headers, 'Cache-Control': 'no-store' }).end(text);
  }

  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000 },
    (request, response) => {
      closeWithConnection(request, response);
      // Every error: this process supervises the workers, and they end with it.
      answer(request, response).catch(() => fail(response));
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

function fail(response: ServerResponse): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(500).end();
}

function refuse({ method }: IncomingMessage, response: ServerResponse, detail: string): void {
  const body = problemBody(problems.forbidden(detail), randomUUID());
  response
    .writeHead(403, { 'Content-Type': PROBLEM_TYPE, 'Cache-Control': 'no-store' })
    .end(method === 'HEAD' ? undefined : JSON.stringify(body));
}
