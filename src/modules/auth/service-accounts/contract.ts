import { z } from 'zod';
import { SCOPES } from '../../../kernel/permissions';
import { endpoint } from '../../../platform/http/endpoint';
import { displayName, objectId } from '../../../platform/http/fields';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import { MAX_ACCOUNTS } from './service-accounts';

export const CREATOR_STATUSES = ['permitted', 'not_permitted', 'banned', 'removed'] as const;

const serviceAccountView = z
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

const createdAccount = serviceAccountView
  .extend({ client_secret: shownText(64, 'The secret, only in this answer.', 'svcsk_2Vb4…') })
  .meta({ id: 'CreatedServiceAccount' });

export const MANAGE_PERMISSION = 'service_accounts:manage';

const managed = {
  access: 'user',
  permission: MANAGE_PERMISSION,
  impersonation: false,
} as const;

export const serviceAccountEndpoints = {
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
          .object({ data: z.array(serviceAccountView).max(MAX_ACCOUNTS) })
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
