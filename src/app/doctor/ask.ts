import http from 'node:http';
import https from 'node:https';

export interface Response {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Local address to connect from. */
  readonly from?: string;
}

const TIMEOUT_MS = 5000;
const MAX_CHARS = 2_000_000;

/** One request on a connection of its own; never repeated. */
export function ask(url: string, options: AskOptions = {}): Promise<Response> {
  const { method = 'GET', headers = {}, body, from } = options;
  const { request } = url.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
      ...(from === undefined ? {} : { localAddress: from }),
      // With the global agent, a connection would stay open after the command.
      agent: false,
      timeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(2 * TIMEOUT_MS),
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    sent.on('error', (error: NodeJS.ErrnoException) => reject(plain(error)));
    // For Node an upgrade is no error, and no response. Of a response, the body may still come.
    let isAnswered = false;
    sent.on('close', () => {
      if (!isAnswered) reject(new Error('no answer of HTTP before the connection ended'));
    });
    sent.on('response', (response) => {
      isAnswered = true;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        if (text.length < MAX_CHARS) text += part;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    sent.end(body);
  });
}

/** OpenSSL's own text names its source files. */
const plain = (error: NodeJS.ErrnoException): Error =>
  error.code === 'EPROTO' || error.code?.startsWith('ERR_SSL') === true
    ? Object.assign(new Error('no TLS on that port, or one that Node does not speak'), {
        code: error.code,
      })
    : error;

/** The members of a JSON object; none where it is no object. */
export function members(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
