import type { Request } from 'express';
import { clientKey } from '../http/rate-limit';

/** Where a request comes from, as far as sessions, throttles and the audit log want to know. */
export interface ClientInfo {
  /** IPv4 address or IPv6 /56: what throttles count by. */
  readonly network: string;
  /** Shown to the owner of a session: IPv4 /24 or IPv6 /56. */
  readonly ipPrefix: string;
  /** At most 256 printable characters. */
  readonly userAgent: string;
  readonly requestId: string;
}

const MAX_AGENT_CHARS = 256;

export function clientOf(req: Request): ClientInfo {
  const network = clientKey(req);
  return {
    network,
    ipPrefix: network.replace(/^(\d+\.\d+\.\d+)\.\d+$/, '$1.0/24'),
    userAgent: (req.headers['user-agent'] ?? '').replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_AGENT_CHARS),
    requestId: req.id,
  };
}
