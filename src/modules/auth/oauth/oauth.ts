import { Problem } from '../../../kernel/errors';
import type { Scope } from '../../../kernel/permissions';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { DpopProof } from '../dpop/dpop';
import type { Impersonation } from '../impersonation/impersonation';
import type { ServiceAccount, ServiceAccounts } from '../service-accounts/service-accounts';
import { MAX_LEEWAY_SECONDS } from '../sessions/end-sessions';
import type { SessionRow } from '../sessions/session-row';
import type { Sessions } from '../sessions/sessions';
import type { AccessClaims } from '../tokens/claims';
import type { Subject, SubjectResolver } from '../tokens/subject-resolver';
import type { Tokens } from '../tokens/tokens';
import type { ClientCredentials, Form } from './form';
import { OAuthError } from './oauth-error';
import { ACCESS_TOKEN_TYPE, impersonationRequest } from './token-exchange';

/** RFC 8693 §2.2.1. */
interface ExchangedToken {
  readonly access_token: string;
  readonly issued_token_type: typeof ACCESS_TOKEN_TYPE;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
}

interface ServiceToken {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
}

type Introspection = { readonly active: boolean } & {
  readonly [claim: string]:
    | string
    | number
    | boolean
    | { readonly sub: string }
    | { readonly jkt: string };
};

export interface OAuth {
  /** The service account of these credentials. Throws OAuthError `invalid_client`. */
  authenticate(
    credentials: ClientCredentials | undefined,
    client: ClientInfo,
  ): Promise<ServiceAccount>;
  /** The JSON of a new token pair. Throws OAuthError `invalid_grant`. */
  refresh(refreshToken: string, proof: DpopProof | undefined, client: ClientInfo): Promise<Buffer>;
  clientCredentials(
    account: ServiceAccount,
    scope: string | undefined,
    client: ClientInfo,
  ): ServiceToken;
  /** RFC 8693. An access token by which an administrator acts as a user. */
  exchange(form: Form, client: ClientInfo): Promise<ExchangedToken>;
  /**
   * RFC 7009. Ends the session of a user's token, or revokes this token of a service account. The
   * token itself is the authorization: a refresh token with what its session is bound to, else the
   * request throws OAuthError `invalid_grant`, or 400 `invalid_dpop_proof`. For an invalid token
   * nothing is done or recorded.
   */
  revoke(token: string, proof: DpopProof | undefined, client: ClientInfo): Promise<void>;
  /** RFC 7662, for service accounts with the scope `tokens:introspect`. */
  introspect(token: string): Promise<Introspection>;
}

export interface OAuthDependencies {
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly subjects: SubjectResolver;
  readonly services: ServiceAccounts;
  readonly impersonation: Impersonation;
  readonly emit: EmitEvent;
  readonly issuer: string;
  readonly audience: string;
  /** Resolves when no verifier of another service accepts the ended tokens. */
  readonly tokensEnded: (subjects: readonly string[]) => Promise<void>;
}

export function createOAuth({
  tokens,
  sessions,
  subjects,
  services,
  impersonation,
  emit,
  issuer,
  audience,
  tokensEnded,
}: OAuthDependencies): OAuth {
  function claimsOf(token: string): AccessClaims | undefined {
    try {
      return tokens.verify(token);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return undefined;
      throw error;
    }
  }

  /** The claims and the subject of an access token, if it is valid now. */
  async function validToken(
    token: string,
  ): Promise<{ claims: AccessClaims; subject: Subject } | undefined> {
    const claims = claimsOf(token);
    const subject = claims === undefined ? null : await subjects.get(claims);
    return claims === undefined || subject === null ? undefined : { claims, subject };
  }

  /** On record of both, as is everything that is done with such a token. */
  async function endActing(
    { sub: userId, sid: session }: AccessClaims,
    actor: string,
    at: ClientInfo,
  ) {
    if (!(await sessions.endActing(userId, session))) return;
    const client = { ...at, impersonation: { actor, user: userId } };
    emit('SessionsEnded', { userId, session, by: { kind: 'revocation' }, client });
  }

  /** An access token that has ended already: that may not have been acknowledged. */
  async function assertEnded(token: string): Promise<void> {
    const claims = claimsOf(token);
    if (claims === undefined) return;
    const { sub, act } = claims;
    await tokensEnded(act === undefined ? [sub] : [sub, act.sub]);
  }

  /** `end`: a valid access token proves a valid session; a refresh token may be of an ended one. */
  async function endSession(
    end: Sessions['end'],
    userId: string,
    session: string,
    client: ClientInfo,
  ): Promise<void> {
    if (await end(userId, session))
      emit('SessionsEnded', { userId, session, by: { kind: 'revocation' }, client });
  }

  return {
    async authenticate(credentials, client) {
      const account =
        credentials?.secret === undefined
          ? null
          : await services.authenticate(credentials.id, credentials.secret);
      if (account !== null) return account;
      const accountId =
        credentials === undefined ? undefined : (await services.find(credentials.id))?.id;
      const reason = accountId === undefined ? 'no_usable_account' : 'wrong_secret';
      emit('ClientAuthenticationFailed', { accountId, reason, client });
      throw new OAuthError('invalid_client', 'The client could not be authenticated.', 401);
    },

    async refresh(text, proof, client) {
      return granting(() => sessions.refresh({ text, inCookie: false, proof }, client));
    },

    clientCredentials(account, scope, client) {
      const wanted =
        scope === undefined ? account.scopes : scope.split(' ').filter((one) => one !== '');
      const event = { accountId: account.id, actor: account.id, client };
      if (!wanted.every((one) => account.scopes.includes(one as Scope))) {
        emit('ClientTokenRefused', { ...event, reason: 'invalid_scope' });
        throw new OAuthError('invalid_scope', 'The account does not have all requested scopes.');
      }
      const { token, expiresInSeconds } = tokens.issueToService(account, wanted);
      emit('ClientTokenIssued', event);
      return {
        access_token: token,
        token_type: 'Bearer',
        expires_in: expiresInSeconds,
        scope: wanted.join(' '),
      };
    },

    async exchange(form, client) {
      const request = impersonationRequest(form, audience);
      const { token, expiresInSeconds } = await impersonation.start(request, client);
      return {
        access_token: token,
        issued_token_type: ACCESS_TOKEN_TYPE,
        token_type: 'Bearer',
        expires_in: expiresInSeconds,
      };
    },

    async revoke(text, proof, client) {
      const presented = { text, inCookie: false, proof };
      const row = await granting(() => sessions.findPresented(presented, client));
      if (row !== undefined) return endSession(sessions.endIfValid, row.userId, row._id, client);
      const good = await validToken(text);
      if (good === undefined) return assertEnded(text);
      const { claims, subject } = good;
      if (subject.kind === 'service') {
        const until = new Date((claims.exp + MAX_LEEWAY_SECONDS) * 1000);
        const isFirst = await services.revokeToken(subject.id, claims.jti, until);
        if (isFirst) emit('ClientTokenRevoked', { accountId: subject.id, client });
        return;
      }
      if (claims.act !== undefined) return endActing(claims, claims.act.sub, client);
      await endSession(sessions.end, claims.sub, claims.sid, client);
    },

    async introspect(token) {
      const row = await sessions.findByCurrentToken(token);
      if (row !== undefined) return { ...refreshClaims(row), iss: issuer };
      const good = await validToken(token);
      if (good === undefined) return { active: false };
      const { claims, subject } = good;
      const { sub, jti, iat, exp } = claims;
      const common = {
        active: true,
        token_type: 'Bearer',
        iss: issuer,
        aud: audience,
        sub,
        jti,
        iat,
        exp,
      } as const;
      return subject.kind === 'user'
        ? { ...common, role: subject.user.role, ...sessionClaims(claims) }
        : { ...common, client_id: sub, scope: subject.scopes.join(' ') };
    },
  };
}

/** RFC 6749 §5.2: of a refresh token that is refused. */
async function granting<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem && error.status === 401)
      throw new OAuthError('invalid_grant', error.detail ?? error.title);
    throw error;
  }
}

/** RFC 9470 §6.2 wants `acr` and `auth_time` here. */
const sessionClaims = ({ sid, client_id, act, auth_time, acr }: AccessClaims) => ({
  sid,
  ...(client_id === undefined ? {} : { client_id }),
  ...(act === undefined ? {} : { act: { sub: act.sub } }),
  ...(auth_time === undefined ? {} : { auth_time }),
  ...(acr === undefined ? {} : { acr }),
});

const refreshClaims = (row: SessionRow) => ({
  active: true,
  sub: row.userId,
  sid: row._id,
  iat: seconds(row.lastUsedAt),
  exp: seconds(row.until),
  ...(row.dpopJkt === undefined ? {} : { cnf: { jkt: row.dpopJkt } }),
});

const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
