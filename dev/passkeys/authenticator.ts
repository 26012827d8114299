import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { type Cbor, encodeCbor } from './cbor';

/** What a browser gets from the service to create a credential. */
export interface CreationOptions {
  readonly rp: { readonly id: string };
  readonly user: { readonly id: string };
  readonly challenge: string;
}

/** What a browser gets from the service to use one. */
export interface RequestOptions {
  readonly rpId: string;
  readonly challenge: string;
}

export interface SoftPasskey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly userHandle: string;
  /** Said in every answer that is not told otherwise. */
  readonly backup: Pick<Answering, 'backupEligible' | 'backedUp'>;
  /** Sent with the next answer, and then counted up; undefined: always 0. */
  counter: number | undefined;
}

/** What an answer says, right or wrong. */
export interface Answering {
  readonly origin?: string;
  readonly rpId?: string;
  readonly challenge?: string;
  readonly type?: string;
  readonly userVerified?: boolean;
  readonly userPresent?: boolean;
  readonly backupEligible?: boolean | undefined;
  readonly backedUp?: boolean | undefined;
  readonly userHandle?: string | null;
  /** More members of the client data. */
  readonly clientData?: object;
  /** Of a registration. */
  readonly credentialId?: string;
  readonly transports?: readonly string[];
  readonly discoverable?: boolean;
}

const base64url = (bytes: Buffer): string => bytes.toString('base64url');
const sha256 = (bytes: Buffer | string): Buffer => createHash('sha256').update(bytes).digest();
const uint = (value: number, bytes: 2 | 4): Buffer => {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 2) buffer.writeUInt16BE(value);
  else buffer.writeUInt32BE(value);
  return buffer;
};

const FLAGS = { userPresent: 1, userVerified: 4, backupEligible: 8, backedUp: 16, attested: 64 };

/**
 * A browser with a passkey in software, as the tests and the benchmark need it: it says what it is
 * told to, also what no browser would say.
 */
export function createSoftAuthenticator(origin: string) {
  function clientDataOf(type: string, challenge: string, given: Answering): Buffer {
    return Buffer.from(
      JSON.stringify({
        type: given.type ?? type,
        challenge: given.challenge ?? challenge,
        origin: given.origin ?? origin,
        crossOrigin: false,
        ...given.clientData,
      }),
    );
  }

  function authenticatorData(rpId: string, counter: number, given: Answering, attested?: Buffer) {
    const { userPresent = true, userVerified = true } = given;
    const { backupEligible = true, backedUp = true } = given;
    const says = { userPresent, userVerified, backupEligible, backedUp, attested };
    const flags = Object.entries(FLAGS).reduce(
      (sum, [name, bit]) => (says[name as keyof typeof says] ? sum | bit : sum),
      0,
    );
    const hash = sha256(given.rpId ?? rpId);
    const parts = [hash, Buffer.from([flags]), uint(counter, 4), attested ?? Buffer.alloc(0)];
    return Buffer.concat(parts);
  }

  return {
    /** `navigator.credentials.create`, and `toJSON` of its result. */
    create({ rp, user, challenge }: CreationOptions, given: Answering = {}) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
      const cose = new Map<number, Cbor>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ]);
      const id = given.credentialId ?? base64url(randomBytes(16));
      const idBytes = Buffer.from(id, 'base64url');
      const attested = Buffer.concat([
        ...[Buffer.alloc(16), uint(idBytes.length, 2), idBytes],
        encodeCbor(cose),
      ]);
      const passkey: SoftPasskey = {
        ...{ id, privateKey, userHandle: user.id, counter: undefined },
        backup: { backupEligible: given.backupEligible, backedUp: given.backedUp },
      };
      const attestation = new Map<string, Cbor>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authenticatorData(rp.id, 0, given, attested)],
      ]);
      const credential = {
        ...{ id, rawId: id, type: 'public-key', authenticatorAttachment: 'platform' },
        response: {
          clientDataJSON: base64url(clientDataOf('webauthn.create', challenge, given)),
          attestationObject: base64url(encodeCbor(attestation)),
          transports: given.transports ?? ['internal', 'hybrid'],
        },
        clientExtensionResults: { credProps: { rk: given.discoverable ?? true } },
      };
      return { passkey, credential };
    },

    /** `navigator.credentials.get`, and `toJSON` of its result. */
    get({ rpId, challenge }: RequestOptions, passkey: SoftPasskey, given: Answering = {}) {
      const { id, privateKey, userHandle } = passkey;
      const clientData = clientDataOf('webauthn.get', challenge, given);
      const data = authenticatorData(rpId, passkey.counter ?? 0, { ...passkey.backup, ...given });
      if (passkey.counter !== undefined) passkey.counter += 1;
      const signature = sign('sha256', Buffer.concat([data, sha256(clientData)]), privateKey);
      return {
        ...{ id, rawId: id, type: 'public-key', authenticatorAttachment: 'platform' },
        response: {
          clientDataJSON: base64url(clientData),
          authenticatorData: base64url(data),
          signature: base64url(signature),
          userHandle: given.userHandle === undefined ? userHandle : given.userHandle,
        },
        clientExtensionResults: {},
      };
    },
  };
}
