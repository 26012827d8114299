import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import type { Config } from '../../kernel/config/config';
import type { TokenBinding } from '../../kernel/token-binding';
import type { RequestWork } from '../telemetry/request-work';
import type { Span } from '../telemetry/tracing';
import { clientAddressOf, createTrust, peerAddress, type TrustProxy } from './client-address';

/** The authenticated caller, as far as HTTP needs it. The auth module extends this type. */
export interface Caller {
  /** In the log line of the request. */
  readonly id: string;
  /** The same Idempotency-Key in another scope is another key. */
  readonly idempotencyScope: string;
  /** Id of the administrator who acts as the caller. */
  readonly impersonator?: string | undefined;
}

/** Data of one request for middleware and handlers: `req.context`. */
export interface RequestContext {
  /** Unique, made by the service: `instance` of a problem and of the log line. */
  readonly id: string;
  /**
   * X-Request-Id of request and response: the received value when it is well-formed, else `id`.
   * Several requests may share it.
   */
  readonly correlationId: string;
  /** Monotonic, in ms. */
  readonly startedAt: number;
  /** W3C trace id: of the span, or where tracing is off, of a valid traceparent of the caller. */
  traceId: string | undefined;
  /** Set where tracing is on. */
  span?: Span;
  /** Set where tracing is on: the parameters in the path have the form that the route declares. */
  hasValidPath?: true;
  /**
   * The client's address: the peer's, or the one that trusted proxies report. One form per
   * address, never with a port.
   */
  readonly clientAddress: string;
  /** Set by authentication. */
  principal: Caller | undefined;
  /**
   * Set by authentication on routes that open a session. Absent: tokens in the JSON body, without
   * DPoP.
   */
  tokenBinding?: TokenBinding;
  /** On routes that renew a session: SHA-256 of the refresh token in the page's cookie. */
  cookieHash?: string;
  /** Of a request with an Idempotency-Key: the id of the resource that it creates. */
  newId?: string;
  /**
   * The pattern of the matched route, e.g. `/api/users/:id`. Low cardinality for logs and metrics.
   */
  routePattern: string | undefined;
  /** Of the matched endpoint: its duration is not this service's. */
  waits?: true;
  /** Made when the request needs more than the local cache (`forRequest`). */
  work: RequestWork | undefined;
  /** Headers to send with the head, names and values alternating; empty once they are sent. */
  pendingHeaders: string[];
}

declare global {
  namespace Express {
    interface Request {
      context: RequestContext;
    }
  }
}

const SAFE_ID = /^[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}$/;
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Sets `req.context`. The service makes the request id; a well-formed X-Request-Id of the client is
 * stored separately and returned.
 */
export function requestContext({
  trustProxy,
}: Pick<Config['server'], 'trustProxy'>): RequestHandler {
  const addressOf =
    trustProxy === false ? directAddress : forwardedAddress(createTrust(trustProxy));
  return (req, _res, next) => {
    const id = randomUUID();
    const given = req.headers['x-request-id'];
    const trace = req.headers['traceparent'];
    const correlationId = correlationIdOf(typeof given === 'string' ? given : undefined, id);
    req.context = {
      id,
      correlationId,
      startedAt: performance.now(),
      traceId: typeof trace === 'string' ? TRACEPARENT.exec(trace)?.[1] : undefined,
      clientAddress: addressOf(req),
      principal: undefined,
      routePattern: undefined,
      work: undefined,
      // A UUID, or a value that matches SAFE_ID.
      pendingHeaders: ['X-Request-Id', correlationId],
    };
    next();
  };
}

const directAddress = (req: Request): string => peerAddress(req.socket.remoteAddress);

function forwardedAddress(trust: TrustProxy): (req: Request) => string {
  return ({ socket, headers }) => {
    const header = headers['x-forwarded-for'];
    // Node joins repeated lines of this header.
    const forwardedFor = typeof header === 'string' ? header : undefined;
    return clientAddressOf(socket.remoteAddress, forwardedFor, trust);
  };
}

/** X-Request-Id of the response: the received value when it is well-formed, else the request id. */
export const correlationIdOf = (given: string | undefined, id: string): string =>
  given !== undefined && SAFE_ID.test(given) ? given : id;
