import type { AccessClaims } from '../../../../src/modules/auth/tokens/claims';
import { createSubjectResolver } from '../../../../src/modules/auth/tokens/subject-resolver';
import {
  type CachedFields,
  type CachedUser,
  cachedUsers,
  sessionStands,
} from '../../../../src/modules/users/cached';
import { createCache } from '../../../../src/platform/cache/cache';
import { cacheSettings, quiet } from '../../../support/cache-fixture';

const USER: CachedUser = {
  id: 'u',
  role: 'user',
  emailVerified: false,
  status: 'active',
  sessionVersion: 3,
  kept: null,
  revoked: [],
  etag: '"r1"',
  body: Buffer.from('{}'),
};

describe('whether a session is valid', () => {
  test.each<[string, Partial<CachedUser>, number, boolean]>([
    ['of the present version', {}, 3, true],
    ['of an older version', {}, 2, false],
    ['of a version to come', {}, 4, false],
    ['of a banned user', { status: 'banned' }, 3, false],
    ['that was revoked', { revoked: ['s'] }, 3, false],
    ['that was kept', { kept: { sid: 's', ver: 2 } }, 2, true],
    ['that was kept, with a token from before', { kept: { sid: 's', ver: 2 } }, 1, false],
    ['that was kept and then revoked', { kept: { sid: 's', ver: 2 }, revoked: ['s'] }, 2, false],
    ['when another was kept', { kept: { sid: 'other', ver: 2 } }, 2, false],
    ['when another was revoked', { revoked: ['other'] }, 3, true],
  ])('%s', (_, user, ver, stands) => {
    expect(sessionStands({ ...USER, ...user }, 's', ver)).toBe(stands);
  });
});

test('a thousand requests within τ cause one read of the user', async () => {
  const cache = createCache({ settings: { ...cacheSettings(), nearTtlMs: 60_000 }, log: quiet });
  let reads = 0;
  const document = {
    ...{
      name: 'Ada',
      email: 'ada@example.org',
      role: 'user',
      status: 'active',
      rev: 1,
      sessionVersion: 3,
      revokedSessions: [],
    },
    ...{ _id: { toHexString: () => 'u' }, createdAt: new Date(), updatedAt: new Date() },
  } as unknown as CachedFields;
  const users = cachedUsers(cache, async () => {
    reads += 1;
    return document;
  });
  const services = { find: () => Promise.reject(new Error('no service account was asked for')) };
  const stored = () => Promise.reject(new Error('nothing was to be confirmed'));
  const subjects = createSubjectResolver(
    { ...users, stored, sessionStands },
    services as never,
    () => false,
  );
  const claims: AccessClaims = {
    sub: 'u',
    sid: 's',
    ver: 3,
    role: 'user',
    jti: 'j',
    iat: 1,
    exp: 2,
  };
  expect(subjects.peek(claims)).toBeUndefined();
  for (let i = 0; i < 1000; i += 1) {
    const subject = subjects.peek(claims) ?? (await subjects.get(claims));
    expect(subject?.kind).toBe('user');
  }
  expect(subjects.peek({ ...claims, ver: 2 })).toBeNull();
  expect(reads).toBe(1);
  await cache.close();
});
