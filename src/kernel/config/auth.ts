import { passwords } from './passwords';
import { roleMap } from './roles';
import { integer, oneOf, optional, secretText, setting, text } from './setting';
import { webUrl } from './urls';

/**
 * RFC 6749 appendix A.1. A resource server could mistake a client id that looks like the id of a
 * service account for one.
 */
const clientId = () =>
  text()
    .regex(/^[\x21-\x7e]{1,128}$/, 'must be at most 128 printable ASCII characters without blanks')
    .regex(/^(?![0-9a-f]{24}$)/, 'must not look like the id of a service account');

/** Another host may have granted a lease under other settings. */
export const MAX_REVOCATION_LEASE_MS = 5000;

export const auth = {
  jwtSecret: setting(
    'JWT_SECRET',
    optional(secretText()),
    undefined,
    'Shared secret that signs access tokens with HS256; at least 32 random bytes.',
    { secret: true },
  ),
  keyEncryptionSecret: setting(
    'KEY_ENCRYPTION_SECRET',
    optional(secretText()),
    undefined,
    'Encrypts the signing keys in the database; at least 32 random bytes. Required in production unless JWT_SECRET is set.',
    { secret: true },
  ),
  previousKeyEncryptionSecret: setting(
    'KEY_ENCRYPTION_SECRET_PREVIOUS',
    optional(secretText()),
    undefined,
    'The previous KEY_ENCRYPTION_SECRET. Set it while hosts change to the new secret, so that hosts with either secret can decrypt all values.',
    { secret: true },
  ),
  signingAlgorithm: setting(
    'SIGNING_ALGORITHM',
    oneOf('ES256', 'EdDSA', 'RS256'),
    'ES256',
    'Algorithm of new signing keys when JWT_SECRET is unset: ES256, EdDSA, RS256.',
  ),
  keyRotationSeconds: setting(
    'KEY_ROTATION_SECONDS',
    integer(1, 315_360_000),
    '2592000',
    'Age at which a signing key is replaced, in seconds.',
  ),
  keyLeadSeconds: setting(
    'KEY_LEAD_SECONDS',
    integer(1, 604_800),
    '900',
    'How long a new signing key is published before it signs, in seconds; must exceed the time that verifiers cache the key set.',
  ),
  keyPollMs: setting(
    'KEY_POLL_MS',
    integer(50, 3_600_000),
    '30000',
    'Time between two reads of the stored signing keys, in ms.',
  ),
  clockLeewaySeconds: setting(
    'CLOCK_LEEWAY_SECONDS',
    integer(0, 60),
    '5',
    'Tolerated difference between the clocks of hosts, in seconds.',
  ),
  tokenCacheMaxEntries: setting(
    'TOKEN_CACHE_MAX_ENTRIES',
    integer(0, 1_000_000),
    '100000',
    'Maximum number of verified access tokens cached per worker (about 0.3 KB each).',
  ),
  jwksUrl: setting(
    'JWKS_URL',
    optional(webUrl()),
    undefined,
    'URL of the published keys, https or on this host; required where MODULES does not name auth.',
  ),
  issuer: setting(
    'TOKEN_ISSUER',
    optional(webUrl()),
    undefined,
    'The `iss` of access tokens; unset: PUBLIC_URL, else http://localhost:PORT.',
  ),
  audience: setting('TOKEN_AUDIENCE', text(), 'api', 'The `aud` of access tokens.'),
  clientId: setting(
    'TOKEN_CLIENT_ID',
    clientId(),
    'first-party',
    "The `client_id` of users' access tokens: the app through which they sign in.",
  ),
  accessTokenTtlSeconds: setting(
    'ACCESS_TOKEN_TTL_SECONDS',
    integer(10, 86_400),
    '900',
    'Lifetime of an access token, in seconds.',
  ),
  impersonationTtlSeconds: setting(
    'IMPERSONATION_TTL_SECONDS',
    integer(30, 900),
    '600',
    'Lifetime of a token by which an administrator acts as a user, in seconds; never past the expiry of the token that the administrator shows.',
  ),
  roles: setting(
    'ROLES',
    roleMap(),
    '',
    'Roles besides admin, support and user, with their permissions (docs/permissions.md): auditor=audit:read+users:read,helpdesk=users:read+users:send_mail. May redefine support. The same on every host.',
  ),
  revocationLeaseMs: setting(
    'REVOCATION_LEASE_MS',
    integer(200, MAX_REVOCATION_LEASE_MS),
    '1000',
    'How long a verifier of another service relies on its last look at the log, in ms. A request that ends tokens waits at most as long for one that cannot be reached.',
  ),
  ...passwords,
} as const;
