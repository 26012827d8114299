import { randomBytes } from 'node:crypto';
import type { Request } from 'express';
import type { Config } from '../config';
import { addPending } from './header-block';
import type { Step } from './steps';

/** Who sends the request, as authentication found it. `subject` is what the feature that authenticates keeps with it. */
export interface Principal {
  readonly userId: string;
  readonly sessionId: string;
  /** Session version of the token at hand. */
  readonly sessionVersion: number;
  readonly role: 'user' | 'admin';
  /** Set for a service account: it may do what one of these allows, and nothing else. */
  readonly scopes?: readonly string[];
}

declare global {
  namespace Express {
    interface Request {
      /** Sent back as X-Request-Id and as `instance` of a problem. */
      id: string;
      /** Monotonic, in ms. */
      startedAt: number;
      /** W3C trace id, when the caller sent a valid traceparent. */
      traceId?: string;
      /** Who asks: the peer's address, or what the trusted proxies say it is. */
      clientAddress: string;
      principal?: Principal;
      /** The scope with which a service account may use the matched endpoint; undefined: none may. */
      requiredScope?: string;
      /** The pattern of the route, e.g. `/api/users/:id`; set when one matched. Low cardinality for logs and metrics. */
      routePattern?: string;
    }
  }
}

const SAFE_ID = /^[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}$/;
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Takes a caller's X-Request-Id when it is harmless, else makes one. */
export function requestContext({ trustProxy }: Pick<Config['server'], 'trustProxy'>): Step {
  const newId = createIds();
  // Express reads X-Forwarded-For anew at each use of req.ip: once is enough, and without a proxy none.
  const addressOf = trustProxy === false ? (req: Request) => req.socket.remoteAddress : (req: Request) => req.ip;
  return (req, res) => {
    const given = req.headers['x-request-id'];
    req.id = typeof given === 'string' && SAFE_ID.test(given) ? given : newId();
    req.startedAt = performance.now();
    req.clientAddress = addressOf(req) ?? 'unknown';
    const trace = req.headers['traceparent'];
    const traceId = typeof trace === 'string' ? TRACEPARENT.exec(trace)?.[1] : undefined;
    if (traceId !== undefined) req.traceId = traceId;
    // A UUID, or what SAFE_ID has let through.
    addPending(res, `X-Request-Id: ${req.id}\r\n`);
  };
}

const COUNT_DIGITS = 12;

/**
 * UUIDs of version 8 (RFC 9562 §5.8): 74 random bits of this process, then a count. A request's id must be unique, and need not
 * be hard to guess; randomUUID() joins twenty strings for each, 2 % of a short answer.
 */
function createIds(): () => string {
  const [a, b, c, d] = [4, 2, 2, 2].map((length) => randomBytes(length).toString('hex')) as [string, string, string, string];
  const variant = '89ab'[Number.parseInt(d[0] ?? '0', 16) & 3];
  const prefix = `${a}-${b}-8${c.slice(1)}-${variant}${d.slice(1)}-`;
  let count = 0;
  return () => {
    count += 1;
    return prefix + count.toString(16).padStart(COUNT_DIGITS, '0');
  };
}
