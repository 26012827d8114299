import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { builtFile } from '../../kernel/root';
import type { Snapshot } from '../metrics/metrics-files';
import { createFeed } from './feed';
import type { OpsSources } from './fleet-view';

/** The ops page: static files, a stream of server-sent events, and three actions by token. */
export interface OpsPage {
  /** False: the path is not of the page. Rejects where a file of the build cannot be read. */
  handle(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  close(): void;
}

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-cache',
} as const;

const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['ops.html', 'text/html; charset=utf-8'],
  '/ops/ops.css': ['ops.css', 'text/css; charset=utf-8'],
  '/ops/ops.js': ['ops.js', 'text/javascript; charset=utf-8'],
  '/ops/uplot.js': ['uPlot.iife.min.js', 'text/javascript; charset=utf-8'],
  '/ops/uplot.css': ['uPlot.min.css', 'text/css; charset=utf-8'],
};

export function createOpsPage(sources: OpsSources, collect: () => Promise<Snapshot>): OpsPage {
  const feed = createFeed(sources, collect);

  function events(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' });
    // It is no viewer: nothing would follow, and nothing would end it.
    if (request.method === 'HEAD') return void response.end();
    response.write('retry: 2000\n\n');
    if (!feed.join(response)) response.end('event: full\ndata: {}\n\n');
  }

  /** No cookie is ever used: another site cannot send the token, which only the operator knows. */
  function act(request: IncomingMessage, response: ServerResponse): void {
    const { actions } = sources;
    const answer = (status: number, error?: string) =>
      response
        .writeHead(status, { ...HEADERS, 'Content-Type': 'application/json' })
        .end(JSON.stringify(error === undefined ? { ok: true } : { ok: false, error }));
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST');
      return void answer(405, 'use POST');
    }
    if (actions === undefined)
      return void answer(409, 'PM2 supervises these workers: use pm2 reload and pm2 scale');
    if (!actions.allows(String(request.headers['x-ops-token'] ?? '')))
      return void answer(403, 'wrong token: npm run cluster -- token prints it');
    const { searchParams } = new URL(request.url ?? '', 'http://ops');
    const refusal = actions.act(searchParams.get('action') ?? '', searchParams.get('value') ?? '');
    answer(refusal === undefined ? 202 : 400, refusal);
  }

  async function sendFile(
    file: string,
    type: string,
    { method }: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const body = await readFile(builtFile(`assets/${file}`));
    response
      .writeHead(200, { ...HEADERS, 'Content-Type': type })
      .end(method === 'HEAD' ? undefined : body);
  }

  return {
    async handle(path, request, response) {
      if (path === '/ops/act') {
        act(request, response);
        return true;
      }
      const [file, type = ''] = FILES[path] ?? [];
      if (file === undefined && path !== '/ops/events') return false;
      if (request.method !== 'GET' && request.method !== 'HEAD')
        response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      else if (file === undefined) events(request, response);
      else await sendFile(file, type, request, response);
      return true;
    },
    close: feed.close,
  };
}
