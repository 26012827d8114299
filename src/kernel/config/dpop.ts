import { integer, setting } from './setting';

/** Refresh tokens that are bound to a key of the client (RFC 9449). */
export const dpop = {
  proofSeconds: setting(
    'DPOP_PROOF_SECONDS',
    integer(10, 600),
    '60',
    'Maximum difference between the `iat` of a DPoP proof and the time of this service, in seconds.',
  ),
} as const;
