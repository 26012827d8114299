import { ConfigError, parseConfig } from '../../../src/kernel/config/config';

const PRODUCTION = {
  NODE_ENV: 'production',
  MONGODB_URI: 'mongodb://db1,db2,db3/auth?replicaSet=rs0',
  PUBLIC_URL: 'https://auth.example.org',
};
const STRONG = 'hT5-wK8.qL2_zN9+xC4/vB7=mJ1~pD6!';

function faultsOf(environment: Record<string, string>): string[] {
  try {
    parseConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return [...new Set(error.faults.map(({ env }) => env))];
    throw error;
  }
}

test('production requires a signing secret or a key encryption secret', () => {
  expect(faultsOf(PRODUCTION)).toContain('KEY_ENCRYPTION_SECRET');
  expect(faultsOf({ ...PRODUCTION, KEY_ENCRYPTION_SECRET: STRONG })).toEqual([]);
  expect(faultsOf({ ...PRODUCTION, JWT_SECRET: STRONG })).toEqual([]);
  expect(faultsOf({})).toEqual([]);
});

test.each(['JWT_SECRET', 'KEY_ENCRYPTION_SECRET'])(
  '%s must be long and must not be a sample secret',
  (env) => {
    for (const weak of [
      'short',
      STRONG.slice(0, 31),
      'secret'.repeat(8),
      'changeme-changeme-changeme-changeme',
      'a'.repeat(64),
      'abababababababababababababababababab',
    ]) {
      expect([weak, faultsOf({ [env]: weak })]).toEqual([weak, [env]]);
    }
    expect(faultsOf({ [env]: STRONG })).toEqual([]);
  },
);

test('KEY_LEAD_SECONDS and KEY_ROTATION_SECONDS have minimum values', () => {
  expect(faultsOf({ KEY_LEAD_SECONDS: '10', KEY_POLL_MS: '6000' })).toContain('KEY_LEAD_SECONDS');
  expect(faultsOf({ KEY_LEAD_SECONDS: '1000', KEY_ROTATION_SECONDS: '1500' })).toContain(
    'KEY_ROTATION_SECONDS',
  );
  expect(
    faultsOf({ KEY_LEAD_SECONDS: '10', KEY_POLL_MS: '5000', KEY_ROTATION_SECONDS: '20' }),
  ).toEqual([]);
});

test('the cost of argon2id stays within the bounds of a login check', () => {
  const lanes = { ARGON2_MEMORY_KIB: '64', ARGON2_PARALLELISM: '9' };
  expect(faultsOf(lanes)).toContain('ARGON2_MEMORY_KIB');
  expect(faultsOf({ ARGON2_MEMORY_KIB: '131072', ARGON2_PASSES: '9' })).toContain('ARGON2_PASSES');
  expect(faultsOf({ ARGON2_MEMORY_KIB: '131072', ARGON2_PASSES: '8' })).toEqual([]);
  for (const faulty of ['7', '131073', '19 MiB'])
    expect(faultsOf({ ARGON2_MEMORY_KIB: faulty })).toContain('ARGON2_MEMORY_KIB');
  expect(faultsOf({ PASSWORD_HASH: 'scrypt' })).toContain('PASSWORD_HASH');
});
