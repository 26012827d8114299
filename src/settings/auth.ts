import { integer, oneOf, optional, setting, text } from './setting';

export const auth = {
  jwtSecret: setting(
    'JWT_SECRET',
    optional(text()),
    undefined,
    'Signs access tokens with HS256 when set; at least 32 bytes of randomness.',
    { secret: true },
  ),
  keyEncryptionSecret: setting(
    'KEY_ENCRYPTION_SECRET',
    optional(text()),
    undefined,
    'Seals the signing keys kept in the database; at least 32 bytes. Required in production unless JWT_SECRET is set.',
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
    'How long a new signing key is published before it signs, in seconds; longer than verifiers keep the key set.',
  ),
  keyPollMs: setting('KEY_POLL_MS', integer(50, 3_600_000), '30000', 'Time between two looks at the stored signing keys, in ms.'),
  clockLeewaySeconds: setting('CLOCK_LEEWAY_SECONDS', integer(0, 60), '5', 'How far the clocks of hosts may be apart, in seconds.'),
  tokenCacheMaxEntries: setting(
    'TOKEN_CACHE_MAX_ENTRIES',
    integer(0, 1_000_000),
    '100000',
    'Most verified access tokens remembered per worker (about 0.3 KB each).',
  ),
  issuer: setting(
    'TOKEN_ISSUER',
    optional(text()),
    undefined,
    'The `iss` of access tokens; unset takes PUBLIC_URL, else http://localhost:PORT.',
  ),
  audience: setting('TOKEN_AUDIENCE', text(), 'api', 'The `aud` of access tokens.'),
  accessTokenTtlSeconds: setting('ACCESS_TOKEN_TTL_SECONDS', integer(10, 86_400), '900', 'Life of an access token, in seconds.'),
  bcryptCost: setting('BCRYPT_COST', integer(4, 16), '12', 'bcrypt cost (2^cost rounds); below 10 only outside production.'),
  hashQueueMax: setting('HASH_QUEUE_MAX', integer(1, 10_000), '64', 'Most password hashes waiting per worker; more are refused with 503.'),
  hashConcurrency: setting('HASH_CONCURRENCY', integer(1, 64), '2', 'Password hashes at a time per worker (libuv has 4 threads).'),
  hashNiceness: setting(
    'HASH_NICENESS',
    integer(0, 19),
    '10',
    'How much nicer than the event loop the threads are that hash (Linux; 0 to 19): other requests go first.',
  ),
} as const;
