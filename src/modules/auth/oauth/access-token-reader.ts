import { Problem } from '../../../kernel/errors';
import type { AccessClaims } from '../tokens/claims';
import type { Subject, SubjectResolver } from '../tokens/subject-resolver';
import type { Tokens } from '../tokens/tokens';

interface ValidToken {
  readonly claims: AccessClaims;
  readonly subject: Subject;
}

export interface AccessTokenReader {
  /** The claims, if the token is signed here and has not expired. It may have been revoked. */
  claimsOf(token: string): AccessClaims | undefined;
  /** The claims and the subject of an access token, if it is valid now. */
  validToken(token: string): Promise<ValidToken | undefined>;
}

export function createAccessTokenReader(
  tokens: Pick<Tokens, 'verify'>,
  subjects: SubjectResolver,
): AccessTokenReader {
  function claimsOf(token: string): AccessClaims | undefined {
    try {
      return tokens.verify(token);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return undefined;
      throw error;
    }
  }

  return {
    claimsOf,
    async validToken(token) {
      const claims = claimsOf(token);
      const subject = claims === undefined ? null : await subjects.get(claims);
      return claims === undefined || subject === null ? undefined : { claims, subject };
    },
  };
}
