/**
 * Reply headers of personal data, and of tokens (RFC 6749 §5.1): no cache on the way keeps them,
 * and an idempotent repeat is answered for a short time only.
 */
export const NO_STORE = { 'Cache-Control': 'no-store' } as const;
