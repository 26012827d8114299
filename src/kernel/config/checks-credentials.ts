import { createPolicy } from '../permissions';
import { type Check, fault } from './check';
import { isKnown } from './secret-strength';
import type { Config } from './settings';

const SECRETS = [
  ['JWT_SECRET', ({ auth }: Config) => auth.jwtSecret],
  ['KEY_ENCRYPTION_SECRET', ({ auth }: Config) => auth.keyEncryptionSecret],
  ['KEY_ENCRYPTION_SECRET_PREVIOUS', ({ auth }: Config) => auth.previousKeyEncryptionSecret],
] as const;

const MAKE_ONE = 'try openssl rand -base64 48';

const secretChecks: readonly Check[] = SECRETS.flatMap(([env, read]): Check[] => [
  (config) => {
    const bytes = Buffer.byteLength(read(config) ?? '');
    return fault(
      read(config) !== undefined && bytes < 32,
      env,
      () => `must have at least 32 bytes (it has ${bytes}): ${MAKE_ONE}`,
    );
  },
  (config) =>
    fault(
      isKnown(read(config) ?? 'unset-38Gq'),
      env,
      () => `is a well-known or repetitive secret: ${MAKE_ONE}`,
    ),
]);

const authChecks: readonly Check[] = [
  ({ auth }) =>
    fault(
      auth.previousKeyEncryptionSecret !== undefined && auth.keyEncryptionSecret === undefined,
      'KEY_ENCRYPTION_SECRET',
      () =>
        'must be set when KEY_ENCRYPTION_SECRET_PREVIOUS is set: new values are encrypted with it',
    ),
  ({ auth }) =>
    fault(
      auth.previousKeyEncryptionSecret !== undefined &&
        auth.previousKeyEncryptionSecret === auth.keyEncryptionSecret,
      'KEY_ENCRYPTION_SECRET_PREVIOUS',
      () => 'must differ from KEY_ENCRYPTION_SECRET',
    ),
  ({ auth }) =>
    fault(
      auth.keyLeadSeconds * 1000 < auth.keyPollMs * 2,
      'KEY_LEAD_SECONDS',
      () =>
        `must be at least twice KEY_POLL_MS (${auth.keyPollMs} ms): a worker could otherwise miss a new key`,
    ),
  ({ auth }) =>
    fault(
      auth.keyRotationSeconds < auth.keyLeadSeconds * 2,
      'KEY_ROTATION_SECONDS',
      () => `must be at least twice KEY_LEAD_SECONDS (${auth.keyLeadSeconds})`,
    ),
];

/** A hash beyond these would not be checked at a login (modules/auth/passwords/formats/argon2). */
const ARGON2_MAX_KIB_PASSES = 1_048_576;

const argon2Checks: readonly Check[] = [
  ({ auth }) =>
    fault(
      auth.argon2MemoryKib < 8 * auth.argon2Parallelism,
      'ARGON2_MEMORY_KIB',
      () =>
        `must be at least 8 times ARGON2_PARALLELISM (${auth.argon2Parallelism}): each lane needs 8 KiB; it is ${auth.argon2MemoryKib}`,
    ),
  ({ auth }) =>
    fault(
      auth.argon2MemoryKib * auth.argon2Passes > ARGON2_MAX_KIB_PASSES,
      'ARGON2_PASSES',
      () =>
        `times ARGON2_MEMORY_KIB (${auth.argon2MemoryKib}) must be at most ${ARGON2_MAX_KIB_PASSES}: a login would take seconds; it is ${auth.argon2Passes}`,
    ),
];

const factorChecks: readonly Check[] = [
  ({ factors, auth }) => {
    const known = createPolicy(auth.roles).roles;
    const unknown = Object.keys(factors.policy?.roles ?? {}).find((role) => !known.includes(role));
    return fault(
      unknown !== undefined,
      'MFA_POLICY',
      () => `names the role ${unknown}, which is none of ${known.join(', ')}: see ROLES`,
    );
  },
];

/** Of secrets, keys, password hashes and second factors. */
export const credentialChecks: readonly Check[] = [
  ...secretChecks,
  ...authChecks,
  ...argon2Checks,
  ...factorChecks,
];
