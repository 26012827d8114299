import { type IncomingHttpHeaders, request as sendHttp } from 'node:http';
import { request as sendHttps } from 'node:https';

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly body: string;
  readonly protocol: string | null;
}

export interface RawRequest {
  readonly method?: string;
  /** Sent unchanged; a URL parser would normalise it (`/a/../b`). */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
  readonly tls?: Readonly<Record<string, unknown>>;
}

/** Sends one request on one connection, without added headers, decoding or retries. */
export function raw(url: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { method = 'GET', headers = {}, body, timeoutMs = 10_000, tls } = options;
  const target = new URL(url);
  const length =
    body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const send = target.protocol === 'https:' ? sendHttps : sendHttp;
    const path = options.path ?? `${target.pathname}${target.search}`;
    const sending = send(
      target,
      { ...tls, method, path, agent: false, headers: { ...length, ...headers } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const bytes = Buffer.concat(chunks);
          const socket = answer.socket as { getProtocol?: () => string | null };
          const protocol = socket.getProtocol?.() ?? null;
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            bytes,
            body: bytes.toString('utf8'),
            protocol,
          });
        });
      },
    );
    // Not sending.setTimeout: it starts with the connection, which to an unreachable host is never
    // established.
    const timer = setTimeout(
      () => sending.destroy(new Error(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    sending.on('close', () => clearTimeout(timer));
    sending.on('error', reject);
    sending.end(body);
  });
}
