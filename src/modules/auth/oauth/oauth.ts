import type { ClientInfo } from '../../../platform/http/client-info';
import type { DpopProof } from '../dpop/dpop';
import type { Impersonation } from '../impersonation/impersonation';
import type { Sessions } from '../sessions/sessions';
import type { SubjectResolver } from '../tokens/subject-resolver';
import type { Tokens } from '../tokens/tokens';
import { createAccessTokenReader } from './access-token-reader';
import type { Form } from './form';
import {
  createIntrospection,
  type Introspection,
  type IntrospectionDependencies,
} from './introspection';
import { granting } from './oauth-error';
import { createRevocation, type RevocationDependencies } from './revocation';
import {
  createServiceClients,
  type ServiceClients,
  type ServiceClientsDependencies,
} from './service-clients';
import { ACCESS_TOKEN_TYPE, impersonationRequest } from './token-exchange';

/** RFC 8693 §2.2.1. */
interface ExchangedToken {
  readonly access_token: string;
  readonly issued_token_type: typeof ACCESS_TOKEN_TYPE;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
}

export interface OAuth extends ServiceClients {
  /** The JSON of a new token pair. Throws OAuthError `invalid_grant`. */
  refresh(refreshToken: string, proof: DpopProof | undefined, client: ClientInfo): Promise<Buffer>;
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

export interface OAuthDependencies
  extends ServiceClientsDependencies,
    RevocationDependencies,
    IntrospectionDependencies {
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly services: ServiceClientsDependencies['services'] & RevocationDependencies['services'];
  readonly subjects: SubjectResolver;
  readonly impersonation: Impersonation;
}

/** The OAuth endpoints as one service, each of an RFC of its own. */
export function createOAuth(deps: OAuthDependencies): OAuth {
  const { tokens, sessions, impersonation, audience } = deps;
  const reader = createAccessTokenReader(tokens, deps.subjects);
  return {
    ...createServiceClients(deps),
    revoke: createRevocation(deps, reader),
    introspect: createIntrospection(deps, reader),
    async refresh(text, proof, client) {
      return granting(() => sessions.refresh({ text, inCookie: false, proof }, client));
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
  };
}
