import { type Addressed, urlOf } from './address.js';
import { contentOf, streamed } from './content.js';
import { type Deadline, startDeadline } from './deadline.js';
import { problemOf } from './errors.js';
import type { CachedAnswer, EtagCache } from './etag-cache.js';
import { newKey } from './idempotency-key.js';
import { KEYED_OPERATIONS, PUBLIC_OPERATIONS, STREAMED_OPERATIONS } from './operations.js';
import { assertTimeout } from './options.js';
import type { Session } from './session.js';
import { isTokens } from './tokens.js';
import type { Outgoing, Received, Send } from './transport.js';
import type { CallOptions } from './types.js';

export interface Call extends CallOptions, Addressed {
  readonly body?: unknown;
  /** Repeating does no harm, though neither the method nor a key says so. */
  readonly isRepeatable?: boolean;
}

export interface CallResult {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed; undefined without a body; a Response where the operation gives no JSON. */
  readonly body: unknown;
  readonly etag: string | undefined;
  readonly isRepeated: boolean;
}

export interface CallerOptions {
  readonly baseUrl: string;
  readonly mode: 'token' | 'cookie';
  readonly send: Send;
  readonly session: Session;
  readonly cache: EtagCache;
  readonly timeoutMs: number;
}

export interface Caller {
  /** `statuses`: answers besides the successful ones that are no error for the caller. */
  run(call: Call, deadline: Deadline, statuses?: readonly number[]): Promise<CallResult>;
  within<T>(options: CallOptions, work: (deadline: Deadline) => Promise<T>): Promise<T>;
  urlOf(call: Addressed): string;
  remember(url: string, result: CallResult): void;
}

function bodyOf(text: string, headers: Headers): unknown {
  if (text === '') return undefined;
  // 304 has no type.
  return /[/+]json/.test(headers.get('content-type') ?? '/json') ? JSON.parse(text) : text;
}

/** A change without a condition is not repeated, and a key would not make that safe. */
const hasKey = (call: Call, isConditional: boolean): boolean =>
  KEYED_OPERATIONS.has(nameOf(call)) &&
  (call.method === 'POST' || isConditional || call.idempotencyKey !== undefined);
const nameOf = ({ method, template }: Addressed) => `${method} ${template}`;

const KEY = 'idempotency-key';
const SAFE = ['GET', 'PUT', 'DELETE'];

export function createCaller(options: CallerOptions): Caller {
  const { baseUrl, mode, send, session, cache, timeoutMs } = options;

  /** Once more with a refreshed token, where the service refused the one that was sent. */
  async function authorized(call: Call, deadline: Deadline, request: Outgoing): Promise<Received> {
    const isPublic = PUBLIC_OPERATIONS.has(nameOf(call));
    let sent: string | undefined;
    const authorize = async () => {
      sent = await session.token(deadline);
      return sent === undefined ? {} : { authorization: `Bearer ${sent}` };
    };
    let isRepeated = false;
    for (let round = 0; ; round += 1) {
      const answer = await send(request, deadline, isPublic ? {} : { authorize });
      isRepeated ||= answer.isRepeated;
      const used = sent;
      const isRefused =
        answer.status === 401 &&
        used !== undefined &&
        // A stream can be sent only once.
        !(request.body instanceof ReadableStream) &&
        /"(token_expired|invalid_token)"/.test(answer.text);
      if (!isRefused || round > 1) return { ...answer, isRepeated };
      if ((await session.renew(used, deadline)) === undefined) return { ...answer, isRepeated };
    }
  }

  function headersOf(call: Call, type: string | undefined, etag: string | undefined): Headers {
    const isStreamed = STREAMED_OPERATIONS.has(nameOf(call));
    const isMarked = mode === 'cookie' && call.method === 'POST';
    // Not an object: the caller may write a name in other letters, and is obeyed then, too.
    const headers = new Headers({
      accept: isStreamed ? '*/*' : 'application/json',
      ...(type === undefined ? {} : { 'content-type': type }),
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
      ...(isMarked ? { 'refresh-token-mode': 'cookie' } : {}),
    });
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
    return headers;
  }

  function requestOf(call: Call, url: string, cached: CachedAnswer | undefined): Outgoing {
    const { method, isRepeatable } = call;
    const { type, ...content } = contentOf(nameOf(call), call.body);
    const headers = headersOf(call, type, cached?.etag);
    const isConditional = headers.has('if-match');
    const isKeyed = hasKey(call, isConditional);
    if (isKeyed && !headers.has(KEY)) headers.set(KEY, call.idempotencyKey ?? newKey());
    const isSafe = SAFE.includes(method) || isConditional || isKeyed;
    const isStreamed = STREAMED_OPERATIONS.has(nameOf(call));
    return { method, url, headers, isStreamed, isRepeatable: isRepeatable ?? isSafe, ...content };
  }

  async function run(
    call: Call,
    deadline: Deadline,
    statuses: readonly number[] = [],
  ): Promise<CallResult> {
    const { method } = call;
    const url = urlOf(baseUrl, call);
    const cached = method === 'GET' ? cache.get(url) : undefined;
    const answer = await authorized(call, deadline, requestOf(call, url, cached));
    const { status, headers, isRepeated } = answer;
    const isGone = method === 'DELETE' && status === 404 && isRepeated;
    if (status >= 400 && !statuses.includes(status) && !isGone)
      throw problemOf(status, answer.text, headers);
    const text = status === 304 && cached !== undefined ? cached.text : answer.text;
    const { stream } = answer;
    const body = stream === undefined ? bodyOf(text, headers) : streamed(stream, call.signal);
    await adoptFrom(call, status, body);
    const result = { status, headers, body, etag: headers.get('etag') ?? undefined, isRepeated };
    if (method === 'GET' && status === 200 && stream === undefined) remember(url, result, text);
    return result;
  }

  /** Of any operation that opens or renews the client's session. */
  async function adoptFrom({ method, template }: Call, status: number, body: unknown) {
    if (method === 'GET' || status >= 300 || !template.startsWith('/api/auth/')) return;
    if (template === '/api/auth/token' || !isTokens(body)) return;
    if (mode === 'cookie' || body.refresh_token !== undefined) await session.adopt(body);
  }

  function remember(url: string, { etag, body }: CallResult, text = JSON.stringify(body)): void {
    if (etag === undefined || typeof body !== 'object') cache.delete(url);
    else cache.set(url, { etag, text });
  }

  return {
    run,
    urlOf: (call) => urlOf(baseUrl, call),
    remember: (url, result) => remember(url, result),
    async within({ timeoutMs: limitMs = timeoutMs, signal }, work) {
      assertTimeout(limitMs);
      const deadline = startDeadline(limitMs, signal);
      try {
        return await work(deadline);
      } finally {
        deadline.end();
      }
    },
  };
}
