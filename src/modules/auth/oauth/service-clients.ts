import type { Scope } from '../../../kernel/permissions';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { ServiceAccount, ServiceAccounts } from '../service-accounts/service-accounts';
import type { Tokens } from '../tokens/tokens';
import type { ClientCredentials } from './form';
import { OAuthError } from './oauth-error';

interface ServiceToken {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
}

/** Service accounts as clients of the token endpoint (RFC 6749 §2.3 and §4.4). */
export interface ServiceClients {
  /** The service account of these credentials. Throws OAuthError `invalid_client`. */
  authenticate(
    credentials: ClientCredentials | undefined,
    client: ClientInfo,
  ): Promise<ServiceAccount>;
  /** Throws OAuthError `invalid_scope`. */
  clientCredentials(
    account: ServiceAccount,
    scope: string | undefined,
    client: ClientInfo,
  ): ServiceToken;
}

export interface ServiceClientsDependencies {
  readonly tokens: Pick<Tokens, 'issueToService'>;
  readonly services: Pick<ServiceAccounts, 'authenticate' | 'find'>;
  readonly emit: EmitEvent;
}

export function createServiceClients({
  tokens,
  services,
  emit,
}: ServiceClientsDependencies): ServiceClients {
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
  };
}
