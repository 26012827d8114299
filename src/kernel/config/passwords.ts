import { integer, oneOf, optional, setting, text } from './setting';

/** How passwords are hashed. Part of the section `auth`. */
export const passwords = {
  passwordHash: setting(
    'PASSWORD_HASH',
    oneOf('bcrypt', 'argon2id'),
    'bcrypt',
    'Algorithm of new password hashes: bcrypt, argon2id. Other hashes are replaced at the next login. `npm run passwords -- tune` proposes a cost.',
  ),
  bcryptCost: setting(
    'BCRYPT_COST',
    integer(4, 16),
    '12',
    'bcrypt cost (2^cost rounds); below 10 only outside production. Also for weak digests of an import, whatever PASSWORD_HASH is.',
  ),
  argon2MemoryKib: setting(
    'ARGON2_MEMORY_KIB',
    integer(8, 131_072),
    '19456',
    'Memory of one argon2id hash, in KiB. A worker needs up to HASH_CONCURRENCY times as much.',
  ),
  argon2Passes: setting(
    'ARGON2_PASSES',
    integer(1, 64),
    '2',
    'Passes of argon2id over its memory. With the memory at least the OWASP minimum in production: 19456 KiB with 2 passes, or one of its equals.',
  ),
  argon2Parallelism: setting(
    'ARGON2_PARALLELISM',
    integer(1, 16),
    '1',
    'Lanes of argon2id. More than 1 may use further threads of the host.',
  ),
  hashQueueMax: setting(
    'HASH_QUEUE_MAX',
    integer(1, 10_000),
    '64',
    'Maximum number of password hashes that wait per worker; beyond it, requests get 503.',
  ),
  hashConcurrency: setting(
    'HASH_CONCURRENCY',
    integer(1, 64),
    '2',
    'Number of concurrent password hashes per worker (libuv has 4 threads).',
  ),
  hashNiceness: setting(
    'HASH_NICENESS',
    integer(0, 19),
    '10',
    'Niceness of the hashing threads on Linux (0 to 19): they run at a lower priority than the threads that serve other requests.',
  ),
  compromisedPasswordsFile: setting(
    'COMPROMISED_PASSWORDS_FILE',
    optional(text()),
    undefined,
    'List of leaked passwords, made by `npm run passwords -- build-list`; new passwords that are in it are refused. Unset: none are.',
  ),
} as const;
