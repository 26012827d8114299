import type { RelyingParty } from '../../../kernel/config/relying-party';
import { isEqualInConstantTime } from '../../../kernel/crypto/digest';
import type { NewPasskey, Passkey, PasskeyUse } from './passkey-store';
import type { AssertionJson, RegistrationJson } from './webauthn-schemas';

/** Why a response was refused; for the log and the audit, not for the client. */
export class CeremonyError extends Error {
  override readonly name = 'CeremonyError';
  constructor(reason: string) {
    // The library quotes what the client sent.
    super(reason.slice(0, 200));
  }
}

/**
 * Ed25519, ECDSA P-256 and RSASSA-PKCS1 with SHA-256: all that authenticators in use have. Fixed,
 * because the library's own list depends on the version of Node, which may differ between hosts.
 */
export const ALGORITHMS = [-8, -7, -257] as const;

async function importLibrary() {
  const server = await import('@simplewebauthn/server');
  const helpers = await import('@simplewebauthn/server/helpers');
  const { verifyRegistrationResponse, verifyAuthenticationResponse } = server;
  const { decodeAttestationObject, isoCBOR } = helpers;
  return {
    verifyRegistrationResponse,
    verifyAuthenticationResponse,
    decodeAttestationObject,
    isoCBOR,
  };
}

let loading: ReturnType<typeof importLibrary> | undefined;
/**
 * The library takes 0.2 s and 25 MB, most of it for attestation. Loaded with the first options, so
 * that a user does not wait for it later.
 */
export function loadLibrary(): ReturnType<typeof importLibrary> {
  const started = loading ?? importLibrary();
  loading = started;
  return started;
}

/** RSA with 8192 bits. */
const MAX_KEY_BYTES = 1100;

interface Expected {
  readonly party: RelyingParty;
  readonly challenge: string;
  /** Whether the authenticator must have verified the user (flag UV). */
  readonly verifiesUser: boolean;
}

/** The challenge that a response claims to answer; undefined: it is not one. */
export function challengeOf({ response }: RegistrationJson | AssertionJson): string | undefined {
  try {
    const { challenge } = clientDataOf(response.clientDataJSON);
    return typeof challenge === 'string' && /^[A-Za-z0-9_-]{43}$/.test(challenge)
      ? challenge
      : undefined;
  } catch {
    return undefined;
  }
}

function clientDataOf(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new CeremonyError('client data');
  return value as Record<string, unknown>;
}

/** WebAuthn §7.1 and §7.2: pages in frames of other sites are not expected. */
function refuseFrames(text: string): void {
  const { crossOrigin, topOrigin } = clientDataOf(text);
  if (crossOrigin === true || topOrigin !== undefined)
    throw new CeremonyError('the page was in a frame of another origin');
}

/** Everything that the library or a decoder throws is a fault of the response. */
async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CeremonyError) throw error;
    throw new CeremonyError(error instanceof Error ? error.message : String(error));
  }
}

export interface VerifiedRegistration {
  readonly passkey: Omit<NewPasskey, 'name'>;
  readonly isUserVerified: boolean;
}

/** Throws CeremonyError. WebAuthn §7.1. */
export async function verifyRegistration(
  json: RegistrationJson,
  { party, challenge, verifiesUser }: Expected,
): Promise<VerifiedRegistration> {
  const library = await loadLibrary();
  return refusing(async () => {
    refuseFrames(json.response.clientDataJSON);
    // No attestation was asked for, and none decides anything. Dropping the statement keeps its
    // certificates, which anyone can make up, from being parsed.
    const attested = library.decodeAttestationObject(bytes(json.response.attestationObject));
    const plain = library.isoCBOR.encode(withoutStatement(attested.get('authData')));
    const { registrationInfo: info } = await library.verifyRegistrationResponse({
      response: {
        ...responseOf(json),
        response: {
          clientDataJSON: json.response.clientDataJSON,
          attestationObject: text(plain),
        },
      },
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: verifiesUser,
      supportedAlgorithmIDs: [...ALGORITHMS],
    });
    if (info === undefined) throw new CeremonyError('not verified');
    // The client names the credential twice; only the signed-over id counts.
    if (info.credential.id !== json.id) throw new CeremonyError('the ids differ');
    if (info.credential.publicKey.byteLength > MAX_KEY_BYTES)
      throw new CeremonyError('the public key is too long');
    const passkey = {
      credentialId: info.credential.id,
      publicKey: text(info.credential.publicKey),
      counter: info.credential.counter,
      transports: json.response.transports ?? [],
      isBackupEligible: info.credentialDeviceType === 'multiDevice',
      isBackedUp: info.credentialBackedUp,
      aaguid: info.aaguid,
      ...discoverableOf(json),
    };
    return { passkey, isUserVerified: info.userVerified };
  });
}

const withoutStatement = (authData: Uint8Array<ArrayBuffer>) =>
  new Map<string, string | Uint8Array<ArrayBuffer> | Map<string, string>>([
    ['fmt', 'none'],
    ['attStmt', new Map<string, string>()],
    ['authData', authData],
  ]);

const discoverableOf = ({ clientExtensionResults: { credProps } }: RegistrationJson) =>
  credProps?.rk === undefined ? {} : { isDiscoverable: credProps.rk };

export interface VerifiedAssertion extends PasskeyUse {
  readonly isUserVerified: boolean;
}

/** Throws CeremonyError. WebAuthn §7.2, but for the counter, which the caller compares. */
export async function verifyAssertion(
  json: AssertionJson,
  passkey: Passkey,
  handle: string,
  { party, challenge, verifiesUser }: Expected,
): Promise<VerifiedAssertion> {
  const library = await loadLibrary();
  return refusing(async () => {
    refuseFrames(json.response.clientDataJSON);
    const { userHandle } = json.response;
    if (typeof userHandle === 'string' && !isEqualInConstantTime(userHandle, handle))
      throw new CeremonyError('the user handle is of another account');
    const { verified, authenticationInfo: info } = await library.verifyAuthenticationResponse({
      response: { ...responseOf(json), response: assertionOf(json) },
      expectedChallenge: challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: verifiesUser,
      // The library refuses a counter that does not grow: 0 leaves the comparison to the caller.
      credential: { id: passkey.credentialId, publicKey: bytes(passkey.publicKey), counter: 0 },
    });
    if (!verified) throw new CeremonyError('the signature is wrong');
    // §7.2 step 18: the eligibility never changes.
    if ((info.credentialDeviceType === 'multiDevice') !== passkey.isBackupEligible)
      throw new CeremonyError('the backup eligibility has changed');
    return {
      counter: info.newCounter,
      isBackedUp: info.credentialBackedUp,
      isUserVerified: info.userVerified,
    };
  });
}

const responseOf = ({ id, rawId }: RegistrationJson | AssertionJson) =>
  ({ id, rawId, type: 'public-key', clientExtensionResults: {} }) as const;

const assertionOf = ({ response }: AssertionJson) => {
  const { clientDataJSON, authenticatorData, signature } = response;
  return { clientDataJSON, authenticatorData, signature };
};

const bytes = (base64url: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(base64url, 'base64url'));
const text = (value: Uint8Array): string => Buffer.from(value).toString('base64url');
