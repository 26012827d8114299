import { z } from 'zod';

/** The JSON of WebAuthn Level 3 §5.1: its members have the names that browsers give them. */

const BASE64URL = /^[A-Za-z0-9_-]+$/;
const binary = (maxLength: number, description: string) =>
  z
    .string()
    .max(maxLength, { abort: true })
    .regex(BASE64URL, 'must be base64url without padding')
    .meta({ description, maxLength, examples: ['q2Vb4nK8sT1xY6wR3mP9zA'] });

/** 1023 bytes at most (§4). */
const CREDENTIAL_ID_CHARS = 1364;
/** 64 bytes at most (§4). */
const HANDLE_CHARS = 86;
const credentialId = binary(CREDENTIAL_ID_CHARS, 'Id of the credential, in base64url.');

/** Browsers add members over time: unknown ones are ignored, not refused. */
const credential = <R extends z.ZodRawShape, E extends z.ZodRawShape>(response: R, extensions: E) =>
  z.object({
    id: credentialId,
    rawId: credentialId,
    type: z.literal('public-key'),
    authenticatorAttachment: z.string().max(32).nullish().meta({ description: 'Not used.' }),
    response: z.object({
      clientDataJSON: binary(8192, 'Data of the browser: challenge, origin, type.'),
      ...response,
    }),
    clientExtensionResults: z.object(extensions),
  });

const transport = z
  .string()
  .regex(/^[a-z0-9-]{1,32}$/)
  .meta({ description: 'How the browser reaches it.', maxLength: 32, examples: ['internal'] });

export const registrationJson = credential(
  {
    attestationObject: binary(16_384, 'The new credential (CBOR).'),
    transports: z.array(transport).max(10).optional(),
  },
  { credProps: z.object({ rk: z.boolean().optional() }).optional() },
).meta({ id: 'RegistrationResponseJSON', description: 'PublicKeyCredential.toJSON().' });
export type RegistrationJson = z.output<typeof registrationJson>;

export const assertionJson = credential(
  {
    authenticatorData: binary(4096, 'Data of the authenticator, which its signature covers.'),
    signature: binary(2048, 'The signature.'),
    userHandle: binary(HANDLE_CHARS, 'The user handle of the passkey.').nullish(),
  },
  {},
).meta({ id: 'AuthenticationResponseJSON', description: 'PublicKeyCredential.toJSON().' });
export type AssertionJson = z.output<typeof assertionJson>;

const shown = (description: string, maxLength: number, example: string) =>
  z.string().meta({ description, maxLength, examples: [example] });
const challenge = shown('256 random bits, for a single use.', 43, 'q2Vb4nK8sT1xY6wR3mP9zA5cD7f');
const timeout = z
  .int()
  .min(1)
  .max(3_600_000)
  .meta({ description: 'In ms.', examples: [300_000] });
const userVerification = z.enum(['required', 'preferred', 'discouraged']);
const descriptors = z
  .array(
    z.object({
      type: z.literal('public-key'),
      id: shown('Id of a credential.', CREDENTIAL_ID_CHARS, 'q2Vb4nK8sT1xY6wR3mP9zA'),
      transports: z.array(transport).max(10),
    }),
  )
  .max(100);

export const creationOptions = z
  .object({
    rp: z.object({
      id: shown('The RP ID.', 253, 'example.org'),
      name: shown('Name of the service.', 253, 'Example'),
    }),
    user: z.object({
      id: shown('The user handle.', HANDLE_CHARS, 'q2Vb4nK8sT1xY6wR3mP9zA5cD7f'),
      name: shown('The e-mail address.', 254, 'ada@example.org'),
      displayName: shown('The name of the user.', 100, 'Ada Lovelace'),
    }),
    challenge,
    pubKeyCredParams: z
      .array(
        z.object({
          type: z.literal('public-key'),
          alg: z
            .int()
            .min(-65_535)
            .max(-1)
            .meta({ examples: [-7] }),
        }),
      )
      .max(10),
    timeout,
    excludeCredentials: descriptors,
    authenticatorSelection: z.object({
      residentKey: z.enum(['required', 'preferred', 'discouraged']),
      requireResidentKey: z.boolean(),
      userVerification,
    }),
    attestation: z.literal('none'),
    extensions: z.object({ credProps: z.literal(true) }),
  })
  .meta({
    id: 'PublicKeyCredentialCreationOptionsJSON',
    description: 'For PublicKeyCredential.parseCreationOptionsFromJSON().',
  });
export type CreationOptions = z.output<typeof creationOptions>;

export const requestOptions = z
  .object({
    rpId: shown('The RP ID.', 253, 'example.org'),
    challenge,
    timeout,
    userVerification,
    allowCredentials: descriptors.meta({
      description: 'Empty: every passkey that the authenticator can find by itself.',
    }),
  })
  .meta({
    id: 'PublicKeyCredentialRequestOptionsJSON',
    description: 'For PublicKeyCredential.parseRequestOptionsFromJSON().',
  });
export type RequestOptions = z.output<typeof requestOptions>;
