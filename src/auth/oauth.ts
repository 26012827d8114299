import { Problem } from '../errors';
import type { Audit } from './audit';
import type { ClientInfo } from './client';
import type { ClientCredentials } from './oauth-form';
import { OAuthError } from './problems';
import type { Scope } from './scopes';
import type { ServiceAccount, ServiceAccounts } from './service-accounts';
import type { Sessions, TokenPair } from './sessions';
import type { Subjects } from './subjects';
import type { AccessClaims, Tokens } from './tokens';

export interface ServiceToken {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
}

export type Introspection = { readonly active: boolean } & { readonly [claim: string]: string | number | boolean };

export interface OAuth {
  /** The service account that these credentials are of. Throws OAuthError `invalid_client`. */
  authenticate(credentials: ClientCredentials | undefined): Promise<ServiceAccount>;
  refresh(refreshToken: string, client: ClientInfo): Promise<TokenPair>;
  clientCredentials(account: ServiceAccount, scope: string | undefined, client: ClientInfo): ServiceToken;
  /** RFC 7009. A token that is not known is revoked already. */
  revoke(token: string, client: ClientInfo): Promise<void>;
  /** RFC 7662, for accounts with the scope `tokens:introspect`. */
  introspect(token: string): Promise<Introspection>;
}

export interface OAuthDependencies {
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly subjects: Subjects;
  readonly services: ServiceAccounts;
  readonly audit: Audit;
  readonly issuer: string;
  readonly audience: string;
}

export function createOAuth({ tokens, sessions, subjects, services, audit, issuer, audience }: OAuthDependencies): OAuth {
  function claimsOf(token: string): AccessClaims | undefined {
    try {
      return tokens.verify(token);
    } catch {
      return undefined;
    }
  }

  return {
    async authenticate(credentials) {
      const account = credentials?.secret === undefined ? null : await services.authenticate(credentials.id, credentials.secret);
      if (account === null) throw new OAuthError('invalid_client', 'The client could not be authenticated.', 401);
      return account;
    },

    async refresh(refreshToken, client) {
      try {
        return await sessions.refresh(refreshToken, client);
      } catch (error) {
        if (error instanceof Problem && error.status === 401) throw new OAuthError('invalid_grant', error.detail ?? error.title);
        throw error;
      }
    },

    clientCredentials(account, scope, client) {
      const wanted = scope === undefined ? account.scopes : scope.split(' ').filter((one) => one !== '');
      if (!wanted.every((one) => account.scopes.includes(one as Scope))) {
        throw new OAuthError('invalid_scope', 'The account does not have every scope that was asked for.');
      }
      const { token, expiresInSeconds } = tokens.issueToService(account.id, wanted);
      audit.record({ type: 'client_token_issued', result: 'success', actor: account.id, subject: account.id, client });
      return { access_token: token, token_type: 'Bearer', expires_in: expiresInSeconds, scope: wanted.join(' ') };
    },

    async revoke(token, client) {
      const row = await sessions.ofToken(token);
      const claims = row === undefined ? claimsOf(token) : undefined;
      const [userId, sid] = row === undefined ? [claims?.sub, claims?.sid] : [row.userId, row._id];
      // A service account's tokens end with the account, or by themselves.
      if (userId === undefined || sid === undefined || claims?.scope !== undefined) return;
      await sessions.end(userId, [sid]);
      audit.record({ type: 'session_ended', result: 'success', reason: 'revocation', subject: userId, session: sid, client });
    },

    async introspect(token) {
      const row = await sessions.peek(token);
      if (row !== undefined) {
        return { active: true, sub: row.userId, sid: row._id, iss: issuer, iat: seconds(row.lastUsedAt), exp: seconds(row.until) };
      }
      const claims = claimsOf(token);
      const subject = claims === undefined ? null : await subjects.get(claims);
      if (claims === undefined || subject === null) return { active: false };
      const { sub, sid, jti, iat, exp } = claims;
      const common = { active: true, token_type: 'Bearer', iss: issuer, aud: audience, sub, jti, iat, exp } as const;
      return subject.kind === 'user'
        ? { ...common, sid, role: subject.user.role }
        : { ...common, client_id: sub, scope: subject.scopes.join(' ') };
    },
  };
}

const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
