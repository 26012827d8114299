import type { Request } from 'express';
import { z } from 'zod';
import { problems } from '../../../kernel/errors';
import { holdsAll, type Policy, SCOPES } from '../../../kernel/permissions';
import { clientOf } from '../../../platform/http/client-info';
import { endpoint, type Route, route } from '../../../platform/http/endpoint';
import { displayName, objectId } from '../../../platform/http/fields';
import { NO_STORE } from '../../../platform/http/no-store';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import type { EmitEvent } from '../../domain-events';
import { principalOf } from '../principal';
import type { Account, UsersPort } from '../users-port';
import { MAX_ACCOUNTS, type ServiceAccount, type ServiceAccounts } from './service-accounts';

const CREATOR_STATUSES = ['permitted', 'not_permitted', 'banned', 'removed'] as const;

const accountView = z
  .object({
    id: shownId('Id of the account; also its client_id.'),
    name: shownText(100, 'Name as shown.', 'Billing'),
    scopes: z
      .array(z.enum(SCOPES))
      .max(SCOPES.length)
      .meta({ description: 'The scopes of the account.' }),
    secret_prefix: shownText(16, 'The beginning of its secret.', 'svcsk_Ab3dE9'),
    created_by: shownText(
      30,
      'The user who created it; the pseudonym of a removed one.',
      '652f1c3e9b1d4a0012ab34cd',
    ),
    created_by_status: z.enum(CREATOR_STATUSES).meta({
      description: 'Whether the creator may still manage service accounts.',
      examples: ['permitted'],
    }),
    created_at: shownTime('When it was created.'),
  })
  .meta({ id: 'ServiceAccount' });

const createdAccount = accountView
  .extend({ client_secret: shownText(64, 'The secret, only in this answer.', 'svcsk_2Vb4…') })
  .meta({ id: 'CreatedServiceAccount' });

const managed = {
  access: 'user',
  permission: 'service_accounts:manage',
  impersonation: false,
} as const;

const endpoints = {
  create: endpoint({
    method: 'post',
    path: '/api/service-accounts',
    id: 'createServiceAccount',
    summary: 'Create a service account; only this answer has its secret',
    tag: 'service accounts',
    ...managed,
    body: z.strictObject({
      name: displayName,
      scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
    }),
    answers: {
      201: {
        description: 'Created.',
        schema: createdAccount,
        headers: { Location: 'Path of the account.' },
      },
    },
    problems: [
      'exceeds_permissions',
      'insufficient_user_authentication',
      'too_many_service_accounts',
    ],
  }),
  list: endpoint({
    method: 'get',
    path: '/api/service-accounts',
    id: 'listServiceAccounts',
    summary: 'List all service accounts, the newest first',
    tag: 'service accounts',
    ...managed,
    answers: {
      200: {
        description: 'The accounts.',
        schema: z
          .object({ data: z.array(accountView).max(MAX_ACCOUNTS) })
          .meta({ id: 'ServiceAccountList' }),
      },
    },
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/service-accounts/:id',
    id: 'revokeServiceAccount',
    summary: 'Revoke a service account: its secret and its tokens are no longer accepted',
    tag: 'service accounts',
    ...managed,
    params: z.strictObject({ id: objectId.meta({ description: 'Id of a service account.' }) }),
    answers: { 204: { description: 'Revoked.' } },
    problems: ['service_account_not_found'],
  }),
};

export interface ServiceAccountRoutesDependencies {
  readonly services: ServiceAccounts;
  readonly users: UsersPort;
  readonly policy: Policy;
  readonly emit: EmitEvent;
  /** Throws 401 unless the login was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
}

export function createServiceAccountRoutes({
  services,
  users,
  policy,
  emit,
  assertRecentLogin,
}: ServiceAccountRoutesDependencies): Route[] {
  return [
    route(endpoints.create, async ({ body }, req) => {
      if (!holdsAll(principalOf(req).permissions, body.scopes)) throw exceedsPermissions();
      // Its secret outlives the session: a stolen access token must not get one.
      await assertRecentLogin(req);
      const actor = principalOf(req).userId;
      const { account, secret } = await services.create(
        { name: body.name, scopes: [...new Set(body.scopes)] },
        actor,
      );
      emit('ServiceAccountCreated', { accountId: account.id, actor, client: clientOf(req) });
      const headers = { ...NO_STORE, Location: `/api/service-accounts/${account.id}` };
      return {
        status: 201,
        headers,
        body: { ...(await viewOf(account, users, policy)), client_secret: secret },
      };
    }),
    route(endpoints.list, async () => {
      const data = await Promise.all(
        (await services.list()).map((account) => viewOf(account, users, policy)),
      );
      return { status: 200, headers: NO_STORE, body: { data } };
    }),
    route(endpoints.remove, async ({ params: { id } }, req) => {
      await services.revoke(id);
      const actor = principalOf(req).userId;
      emit('ServiceAccountRevoked', { accountId: id, actor, client: clientOf(req) });
      return { status: 204 };
    }),
  ];
}

const exceedsPermissions = () =>
  problems.forbidden(
    'A service account gets no scope that its creator lacks.',
    'exceeds_permissions',
  );

/** A removed user has a pseudonym instead. */
const USER_ID = /^[0-9a-f]{24}$/;

function creatorStatus(user: Account | null, policy: Policy): (typeof CREATOR_STATUSES)[number] {
  if (user === null) return 'removed';
  if (user.status !== 'active') return 'banned';
  return policy.permissionsOf(user.role).has(managed.permission) ? 'permitted' : 'not_permitted';
}

const viewOf = async (
  { id, name, scopes, secretPrefix, createdBy, createdAt }: ServiceAccount,
  users: UsersPort,
  policy: Policy,
) => ({
  id,
  name,
  scopes,
  secret_prefix: secretPrefix,
  created_by: createdBy,
  created_by_status: creatorStatus(
    USER_ID.test(createdBy) ? await users.get(createdBy) : null,
    policy,
  ),
  created_at: createdAt,
});
