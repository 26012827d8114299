import { integer, setting } from './setting';

/** Refresh tokens that are bound to a key of the client (RFC 9449). */
export const dpop = {
  proofSeconds: setting(
    'DPOP_PROOF_SECONDS',
    integer(10, 600),
    '60',
    'Most seconds between the `iat` of a DPoP proof and the time of this service, before and after.',
  ),
} as const;
