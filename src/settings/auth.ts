import { integer, optional, setting, text } from './setting';

export const auth = {
  jwtSecret: setting(
    'JWT_SECRET',
    optional(text()),
    undefined,
    'Signs access tokens with HS256 when set; at least 32 bytes of randomness.',
    { secret: true },
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
} as const;
