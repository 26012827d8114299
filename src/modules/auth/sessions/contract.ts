import { z } from 'zod';
import { shownId, shownText, shownTime } from '../../../platform/http/view-schemas';
import { endpoint } from '../endpoint';

const tag = 'sessions';

const sessionView = z
  .object({
    id: shownId('Id of the session.'),
    current: z.boolean().meta({ description: 'Whether it is the session of this request.' }),
    created_at: shownTime('When it began.'),
    last_used_at: shownTime('Last login or refresh.'),
    expires_at: shownTime('When it expires unless it is used before.'),
    user_agent: shownText(256, 'User-Agent of its last use.', 'curl/8.5.0'),
    ip_prefix: shownText(64, 'Network of its last use: IPv4 /24 or IPv6 /56.', '203.0.113.0/24'),
    refresh_token_mode: z
      .enum(['json', 'cookie'])
      .meta({ description: 'Where its refresh token travels.' }),
    dpop_bound: z.boolean().meta({
      description: 'Whether a refresh needs a proof by the key of its client (RFC 9449).',
    }),
  })
  .meta({ id: 'Session' });

export const sessionList = z
  .object({ data: z.array(sessionView).max(1000) })
  .meta({ id: 'SessionList' });

export const sessionId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, 'must be 24 hexadecimal digits in lower case')
  .meta({
    description: 'Id of a session, 24 hexadecimal digits.',
    maxLength: 24,
    examples: ['652f1c3e9b1d4a0012ab34cd'],
  });

export const sessionEndpoints = {
  logout: endpoint({
    method: 'post',
    path: '/api/auth/logout',
    id: 'logout',
    idempotencyKey: false,
    summary: 'End this session, all others or all',
    tag,
    access: 'user',
    session: 'ends',
    query: z.strictObject({
      scope: z
        .enum(['local', 'others', 'global'])
        .optional()
        .meta({ description: 'Which sessions end.', default: 'local' }),
    }),
    answers: { 204: { description: 'Ended. No later request with their tokens is accepted.' } },
    problems: ['impersonation_forbidden'],
  }),
  list: endpoint({
    method: 'get',
    path: '/api/auth/sessions',
    id: 'listSessions',
    summary: 'List the own sessions, the last used first',
    tag,
    access: 'user',
    answers: {
      200: {
        description: 'The sessions.',
        schema: sessionList,
      },
    },
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/auth/sessions/:id',
    id: 'endSession',
    impersonation: false,
    summary: 'End one of the own sessions',
    tag,
    access: 'user',
    params: z.strictObject({ id: sessionId }),
    answers: { 204: { description: 'Ended, now or earlier.' } },
  }),
};
