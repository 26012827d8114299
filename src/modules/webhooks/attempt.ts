import { type ClientRequest, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type BlockList, isIP } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { startTimeLimit } from '../../kernel/time-limit';
import { guardedLookup, isAllowedTarget, RefusedTargetError } from './guarded-lookup';

export interface Message {
  /** Of the event: the same in every attempt, so that receivers can leave repetitions out. */
  readonly id: string;
  readonly body: string;
}

export interface AttemptOptions {
  readonly url: URL;
  /** `whsec_…`; several while a rotation goes on, each signs. */
  readonly secrets: readonly string[];
  readonly allowed: BlockList;
  readonly timeoutMs: number;
  /** Cuts the attempt short. */
  readonly signal?: AbortSignal;
  readonly now: () => number;
}

/** The result of one attempt. `failed` has a reason that the endpoint's owner may see. */
export type Attempt =
  | { readonly result: 'delivered'; readonly status: number }
  | { readonly result: 'gone'; readonly status: 410 }
  | {
      readonly result: 'failed';
      readonly reason: 'status' | 'redirect' | 'timeout' | 'connection' | 'refused_target';
      readonly status?: number;
      readonly retryAfterSeconds?: number;
    };

/** Of a response, more is not read. */
const BODY_MAX_BYTES = 16_384;
const RETRY_AFTER_MAX_SECONDS = 86_400;

/** The headers of the Standard Webhooks specification. */
function signedHeaders({ id, body }: Message, secrets: readonly string[], nowMs: number) {
  const time = new Date(nowMs);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(nowMs / 1000)),
    'webhook-signature': secrets
      .map((secret) => new Webhook(secret).sign(id, time, body))
      .join(' '),
  };
}

/** Posts the message once. Never throws, and ends within `timeoutMs`. */
export function attempt(message: Message, options: AttemptOptions): Promise<Attempt> {
  const { url, allowed, timeoutMs, signal } = options;
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !isAllowedTarget(literal, allowed))
    return Promise.resolve({ result: 'failed', reason: 'refused_target' });
  const limit = startTimeLimit(timeoutMs, signal);
  try {
    return send(message, { ...options, signal: limit.signal }, limit.end);
  } catch {
    limit.end();
    return Promise.resolve({ result: 'failed', reason: 'connection' });
  }
}

function send(
  message: Message,
  { url, secrets, allowed, signal, now }: AttemptOptions,
  closed: () => void,
): Promise<Attempt> {
  const open = url.protocol === 'https:' ? requestHttps : requestHttp;
  const request = open(url, {
    method: 'POST',
    // Its own connection: one that another endpoint opened was checked for another name.
    agent: false,
    lookup: guardedLookup(allowed),
    ...(signal !== undefined && { signal }),
    headers: {
      ...signedHeaders(message, secrets, now()),
      'content-type': 'application/cloudevents+json',
      'content-length': Buffer.byteLength(message.body),
      'user-agent': 'clustered-auth-webhooks',
    },
  });
  // Not with the status: the limit bounds the body too.
  request.once('close', closed);
  const ended = answerOf(request, now);
  request.end(message.body);
  return ended;
}

function answerOf(request: ClientRequest, now: () => number): Promise<Attempt> {
  return new Promise((resolve) => {
    request.on('error', (error: Error & { code?: string }) => {
      if (error instanceof RefusedTargetError)
        return resolve({ result: 'failed', reason: 'refused_target' });
      const isLate = error.name === 'AbortError' || error.name === 'TimeoutError';
      return resolve({ result: 'failed', reason: isLate ? 'timeout' : 'connection' });
    });
    request.on('response', (response) => {
      const waitSeconds = secondsOf(response.headers['retry-after'], now);
      const answer = judge(response.statusCode ?? 0, waitSeconds);
      // The status is the answer, even where the body fails.
      resolve(answer);
      let bytes = 0;
      const end = () => request.destroy();
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > BODY_MAX_BYTES) end();
      });
      response.on('end', end).on('error', end);
    });
    // 101: nothing was asked to be upgraded.
    request.on('upgrade', ({ statusCode = 0 }, socket) => {
      socket.destroy();
      resolve(judge(statusCode, 0));
    });
    // Any other end of the request: a promise that is resolved already stays as it is.
    request.on('close', () => resolve({ result: 'failed', reason: 'connection' }));
  });
}

function judge(status: number, waitSeconds: number): Attempt {
  if (status >= 200 && status < 300) return { result: 'delivered', status };
  if (status === 410) return { result: 'gone', status };
  const reason = status >= 300 && status < 400 ? 'redirect' : 'status';
  return {
    ...{ result: 'failed', reason },
    // A number that is none of HTTP's is not shown.
    ...(status >= 100 && status <= 599 && { status }),
    ...(waitSeconds > 0 && { retryAfterSeconds: Math.min(waitSeconds, RETRY_AFTER_MAX_SECONDS) }),
  };
}

/** RFC 9110 §10.2.3: seconds, or a time. 0: neither. */
function secondsOf(retryAfter: string | undefined, now: () => number): number {
  if (retryAfter === undefined) return 0;
  if (/^\d{1,9}$/.test(retryAfter)) return Number(retryAfter);
  const seconds = (Date.parse(retryAfter) - now()) / 1000;
  return seconds > 0 ? Math.ceil(seconds) : 0;
}
