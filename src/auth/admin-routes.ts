import { z } from 'zod';
import { endpoint, principalOf, type Route, route } from '../http/endpoint';
import { nameSchema, userId } from '../users/schemas';
import { AUDIT_TYPES, type Audit } from './audit';
import { type AuditReader, auditCursor } from './audit-reader';
import { clientOf } from './client';
import { SCOPES } from './scopes';
import type { ServiceAccount, ServiceAccounts } from './service-accounts';

const accountView = z
  .object({
    id: z.string().meta({ description: 'Also the client_id.' }),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    secret_prefix: z.string().meta({ description: 'How its secret begins.' }),
    created_by: z.string(),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'ServiceAccount' });

const auditEvent = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    type: z.enum(AUDIT_TYPES),
    result: z.enum(['success', 'failure']),
    reason: z.string().nullable(),
    actor: z.string().nullable(),
    subject: z.string().nullable(),
    session: z.string().nullable(),
    network: z.string(),
    user_agent: z.string(),
    request_id: z.string(),
  })
  .meta({ id: 'AuditEvent' });

const endpoints = {
  create: endpoint({
    method: 'post',
    path: '/api/service-accounts',
    id: 'createServiceAccount',
    summary: 'Create a service account; its secret is shown in this answer only',
    tag: 'service accounts',
    access: 'admin',
    body: z.strictObject({ name: nameSchema, scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length) }),
    answers: {
      201: {
        description: 'Created.',
        schema: accountView.extend({ client_secret: z.string() }),
        headers: { Location: 'Path of the account.' },
      },
    },
    problems: [409],
  }),
  list: endpoint({
    method: 'get',
    path: '/api/service-accounts',
    id: 'listServiceAccounts',
    summary: 'All service accounts, the newest first',
    tag: 'service accounts',
    access: 'admin',
    answers: { 200: { description: 'The accounts.', schema: z.object({ data: z.array(accountView) }) } },
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/service-accounts/:id',
    id: 'revokeServiceAccount',
    summary: 'Revoke a service account: its secret and its tokens are no longer accepted',
    tag: 'service accounts',
    access: 'admin',
    params: z.strictObject({ id: userId }),
    answers: { 204: { description: 'Revoked.' } },
    problems: [404],
  }),
  audit: endpoint({
    method: 'get',
    path: '/api/audit-events',
    id: 'listAuditEvents',
    summary: 'Security events, the newest first',
    tag: 'audit',
    access: 'admin',
    scope: 'audit:read',
    query: z.strictObject({
      limit: z
        .string()
        .regex(/^([1-9]|[1-9]\d|100)$/, 'must be a whole number from 1 to 100')
        .transform(Number)
        .optional()
        .meta({ description: 'Events per page, 1 to 100; 50 unless said.' }),
      cursor: auditCursor.optional(),
      type: z.enum(AUDIT_TYPES).optional(),
      subject: userId.optional().meta({ description: 'The account concerned.' }),
    }),
    answers: {
      200: {
        description: 'A page.',
        schema: z.object({ data: z.array(auditEvent), next_cursor: z.string().nullable(), has_more: z.boolean() }),
      },
    },
  }),
};

export interface AdminRoutesDependencies {
  readonly services: ServiceAccounts;
  readonly audit: Audit;
  readonly reader: AuditReader;
}

export function createAdminRoutes({ services, audit, reader }: AdminRoutesDependencies): Route[] {
  const private_ = { 'Cache-Control': 'no-store' } as const;
  return [
    route(endpoints.create, async ({ body }, req) => {
      const actor = principalOf(req).userId;
      const { account, secret } = await services.create({ name: body.name, scopes: [...new Set(body.scopes)] }, actor);
      audit.record({ type: 'service_account_created', result: 'success', actor, subject: account.id, client: clientOf(req) });
      const headers = { ...private_, Location: `/api/service-accounts/${account.id}` };
      return { status: 201, headers, body: { ...viewOf(account), client_secret: secret } };
    }),
    route(endpoints.list, async () => ({ status: 200, headers: private_, body: { data: (await services.list()).map(viewOf) } })),
    route(endpoints.remove, async ({ params: { id } }, req) => {
      await services.revoke(id);
      audit.record({
        type: 'service_account_revoked',
        result: 'success',
        actor: principalOf(req).userId,
        subject: id,
        client: clientOf(req),
      });
      return { status: 204 };
    }),
    route(endpoints.audit, async ({ query }) => ({ status: 200, headers: private_, body: await reader.page(query) })),
  ];
}

const viewOf = ({ id, name, scopes, secretPrefix, createdBy, createdAt }: ServiceAccount) => ({
  id,
  name,
  scopes,
  secret_prefix: secretPrefix,
  created_by: createdBy,
  created_at: createdAt,
});
