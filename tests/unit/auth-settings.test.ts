import { ConfigError, parseConfig } from '../../src/config';

const PRODUCTION = { NODE_ENV: 'production', MONGODB_URI: 'mongodb://db1,db2,db3/auth?replicaSet=rs0' };
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

test('production does not start without something to sign with', () => {
  expect(faultsOf(PRODUCTION)).toContain('KEY_ENCRYPTION_SECRET');
  expect(faultsOf({ ...PRODUCTION, KEY_ENCRYPTION_SECRET: STRONG })).toEqual([]);
  expect(faultsOf({ ...PRODUCTION, JWT_SECRET: STRONG })).toEqual([]);
  expect(faultsOf({})).toEqual([]);
});

test.each(['JWT_SECRET', 'KEY_ENCRYPTION_SECRET'])('%s must be long and not well known', (env) => {
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
});

test('a new key is published for long enough, and rotation leaves time for it', () => {
  expect(faultsOf({ KEY_LEAD_SECONDS: '10', KEY_POLL_MS: '6000' })).toContain('KEY_LEAD_SECONDS');
  expect(faultsOf({ KEY_LEAD_SECONDS: '1000', KEY_ROTATION_SECONDS: '1500' })).toContain('KEY_ROTATION_SECONDS');
  expect(faultsOf({ KEY_LEAD_SECONDS: '10', KEY_POLL_MS: '5000', KEY_ROTATION_SECONDS: '20' })).toEqual([]);
});
