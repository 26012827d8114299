import { randomToken } from '../../../kernel/crypto/random';

/** Limits the size of a cached account. */
const MAX_REVOKED_TOKENS = 100;

/**
 * The update of an account that revokes one token: adds it once, and removes the expired ones by
 * the database's clock. Past MAX_REVOKED_TOKENS it raises the token version instead.
 */
export function tokenRevocation(jti: string, until: Date) {
  const live = {
    $filter: {
      input: { $ifNull: ['$revokedTokens', []] },
      cond: { $gt: ['$$this.until', '$$NOW'] },
    },
  };
  const one = { jti: { $literal: jti }, until };
  const known = { $in: [one.jti, '$revokedTokens.jti'] };
  const version = { $ifNull: ['$tokenVersion', 0] };
  const tooMany = { $gt: [{ $size: '$revokedTokens' }, MAX_REVOKED_TOKENS] };
  return [
    { $set: { revokedTokens: live } },
    {
      $set: {
        revokedTokens: {
          $cond: [known, '$revokedTokens', { $concatArrays: ['$revokedTokens', [one]] }],
        },
      },
    },
    {
      $set: {
        pendingEnds: {
          mark: { $literal: randomToken(9) },
          all: { $or: [{ $ifNull: ['$pendingEnds.all', false] }, tooMany] },
          tokens: { $setUnion: [{ $ifNull: ['$pendingEnds.tokens', []] }, [one.jti]] },
        },
        tokenVersion: { $cond: [tooMany, { $add: [version, 1] }, version] },
        revokedTokens: { $cond: [tooMany, [], '$revokedTokens'] },
      },
    },
  ];
}
