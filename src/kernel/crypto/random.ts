import { randomBytes } from 'node:crypto';

/** `bytes` random bytes in base64url. 32 cannot be guessed; 9 are unique. */
export const randomToken = (bytes: number): string => randomBytes(bytes).toString('base64url');
