import type { Request } from 'express';
import type { TokenBinding } from '../../kernel/token-binding';
import { networkOf } from './client-networks';

/** The origin of a request, for sessions, limits and the audit log. */
export interface ClientInfo {
  /** IPv4 address or IPv6 /56: the key of rate limits. */
  readonly network: string;
  /** Shown to the owner of a session: IPv4 /24 or IPv6 /56. */
  readonly ipPrefix: string;
  /** At most 256 printable characters. */
  readonly userAgent: string;
  readonly requestId: string;
  /** Of a request by which an administrator acts as a user: the ids of both. */
  readonly impersonation?: { readonly actor: string; readonly user: string };
  /** Of a request that opens a session. Absent: tokens in the JSON body, without DPoP. */
  readonly tokenBinding?: TokenBinding;
}

/** For actions of the service itself. */
export const NO_CLIENT: ClientInfo = { network: '', ipPrefix: '', userAgent: '', requestId: '' };

const MAX_AGENT_CHARS = 256;

export function clientOf(req: Request): ClientInfo {
  const network = networkOf(req);
  const { principal, tokenBinding } = req.context;
  return {
    network,
    ipPrefix: network.replace(/^(\d+\.\d+\.\d+)\.\d+$/, '$1.0/24'),
    userAgent: (req.headers['user-agent'] ?? '')
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, MAX_AGENT_CHARS),
    requestId: req.context.correlationId,
    ...(principal?.impersonator === undefined
      ? {}
      : { impersonation: { actor: principal.impersonator, user: principal.id } }),
    ...(tokenBinding && { tokenBinding }),
  };
}
