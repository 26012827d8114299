import { z } from 'zod';
import { endpoint, type Route, route } from '../../platform/http/endpoint';
import { NO_STORE } from '../../platform/http/no-store';
import { wholeNumber } from '../../platform/http/parameters';
import { pageOf, shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import { AUDIT_TYPES } from './audit-event';
import { AUDIT_LIMIT, type AuditReader, auditCursor } from './reader';

const LIMIT_MAX = 100;

const auditEvent = z
  .object({
    id: shownId('Id of the event.'),
    at: shownTime('When it happened.'),
    type: z.enum(AUDIT_TYPES).meta({ description: 'The kind of event.' }),
    result: z.enum(['success', 'failure']).meta({ description: 'How it ended.' }),
    reason: shownText(
      200,
      'Why it failed, or what it was done by; a stable name. Of an impersonation: the reason that was given.',
      'invalid_credentials',
    ).nullable(),
    note: shownText(500, 'A note of the administrator: the reason of a ban.', 'spam').nullable(),
    actor: shownText(
      64,
      'The id of the actor, where it is known.',
      '652f1c3e9b1d4a0012ab34cd',
    ).nullable(),
    subject: shownText(
      64,
      'The account concerned, where there is one.',
      '652f1c3e9b1d4a0012ab34cd',
    ).nullable(),
    session: shownText(
      64,
      'The session concerned, where there is one.',
      '652f1c3e9b1d4a0012ab34ce',
    ).nullable(),
    impersonated: shownText(
      64,
      'The user that the actor acted as, where it did.',
      '652f1c3e9b1d4a0012ab34cd',
    ).nullable(),
    token_id: shownText(
      64,
      'The `jti` of the token that was issued, of an impersonation.',
      '044c7f48-4144-4056-8731-a989e00bc07a',
    ).nullable(),
    job: shownText(
      64,
      'The import that did it, where one did.',
      '6b0862a1c4d2e3f405162738',
    ).nullable(),
    network: shownText(64, 'IPv4 address or IPv6 /56 that it came from.', '203.0.113.9'),
    user_agent: shownText(256, 'User-Agent of the request.', 'curl/8.5.0'),
    request_id: shownText(
      128,
      'X-Request-Id of the request.',
      '044c7f48-4144-8056-8731-a989e00bc07a',
    ),
    count: z
      .int()
      .min(2)
      .max(2_147_483_647)
      .optional()
      .meta({
        description: 'How many refused requests of its kind it stands for, where they are more.',
        examples: [480],
      }),
  })
  .meta({ id: 'AuditEvent' });

/** An account, also one that was removed. */
const subject = z
  .string()
  .regex(/^([0-9a-f]{24}|removed:[A-Za-z0-9_-]{22})$/, 'must be an id or the pseudonym of one')
  .meta({
    description: 'The account concerned; a removed one by its pseudonym.',
    maxLength: 30,
    examples: ['652f1c3e9b1d4a0012ab34cd'],
  });

const list = endpoint({
  method: 'get',
  path: '/api/audit-events',
  id: 'listAuditEvents',
  summary: 'Security events, the newest first',
  tag: 'audit',
  access: 'user',
  permission: 'audit:read',
  query: z.strictObject({
    limit: wholeNumber(1, LIMIT_MAX)
      .optional()
      .meta({ description: `Events per page; ${AUDIT_LIMIT} unless given.` }),
    cursor: auditCursor.optional(),
    type: z.enum(AUDIT_TYPES).optional().meta({ description: 'Events of this type alone.' }),
    subject: subject.optional(),
  }),
  answers: {
    200: {
      description: 'A page.',
      schema: z.object(pageOf(auditEvent, LIMIT_MAX)).meta({ id: 'AuditEventPage' }),
    },
  },
});

export function createAuditRoutes(reader: AuditReader): Route[] {
  return [
    route(list, async ({ query }) => ({
      status: 200,
      headers: NO_STORE,
      body: await reader.page(query),
    })),
  ];
}
