import type { RelyingParty } from '../../../kernel/config/relying-party';
import { ALGORITHMS } from './ceremonies';
import type { Passkey, PasskeyHolder } from './passkey-store';
import type { CreationOptions, RequestOptions } from './webauthn-schemas';

export type UserVerification = RequestOptions['userVerification'];

interface Common {
  readonly party: RelyingParty;
  readonly challenge: string;
  readonly userVerification: UserVerification;
  readonly ttlSeconds: number;
}

interface Owner {
  readonly email: string;
  readonly name: string;
}

/** For `navigator.credentials.create`. */
export function creationOptionsOf(
  { handle, passkeys }: PasskeyHolder,
  { email, name: displayName }: Owner,
  { party, challenge, userVerification, ttlSeconds }: Common,
): CreationOptions {
  return {
    rp: { id: party.id, name: party.name },
    user: { id: handle, name: email, displayName },
    challenge,
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: 'public-key', alg })),
    timeout: ttlSeconds * 1000,
    excludeCredentials: descriptorsOf(passkeys),
    // Preferred: a security key without room for it can still be a second factor.
    authenticatorSelection: {
      residentKey: 'preferred',
      requireResidentKey: false,
      userVerification,
    },
    attestation: 'none',
    extensions: { credProps: true },
  };
}

/** For `navigator.credentials.get`. Without passkeys: the user picks one that is discoverable. */
export function requestOptionsOf(
  passkeys: readonly Passkey[],
  { party, challenge, userVerification, ttlSeconds }: Common,
): RequestOptions {
  return {
    rpId: party.id,
    challenge,
    timeout: ttlSeconds * 1000,
    userVerification,
    allowCredentials: descriptorsOf(passkeys),
  };
}

const descriptorsOf = (passkeys: readonly Passkey[]) =>
  passkeys.map(({ credentialId: id, transports }) => ({
    type: 'public-key' as const,
    id,
    transports: [...transports],
  }));
