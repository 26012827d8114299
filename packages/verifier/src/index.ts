export type { BearerOptions } from './bearer.js';
export type { AccessTokenClaims, ActorClaim } from './claims.js';
export { VerifierError, type VerifierErrorCode } from './errors.js';
export type { VerifierEvent } from './events.js';
export { expressVerifier } from './express.js';
export { fastifyVerifier } from './fastify.js';
export type { Credentials, VerifierOptions } from './options.js';
export { createVerifier, type Verifier } from './verifier.js';
