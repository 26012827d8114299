import { z } from 'zod';
import { endpoint } from '../http/endpoint';

const tag = 'sessions';

const sessionView = z
  .object({
    id: z.string().regex(/^[0-9a-f]{24}$/),
    current: z.boolean().meta({ description: 'The session that asks.' }),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().meta({ description: 'Last login or refresh.' }),
    expires_at: z.iso.datetime().meta({ description: 'Unless it is used before.' }),
    user_agent: z.string(),
    ip_prefix: z.string().meta({ description: 'Network that it was last used from: IPv4 /24 or IPv6 /56.' }),
  })
  .meta({ id: 'Session' });

const sessionId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, 'must be 24 hexadecimal digits in lower case')
  .meta({ description: 'Id of a session, 24 hexadecimal digits.', examples: ['652f1c3e9b1d4a0012ab34cd'] });

export const sessionEndpoints = {
  logout: endpoint({
    method: 'post',
    path: '/api/auth/logout',
    id: 'logout',
    summary: 'End this session, all others, or all',
    tag,
    access: 'user',
    query: z.strictObject({ scope: z.enum(['local', 'others', 'global']).optional().meta({ description: 'local unless said.' }) }),
    answers: { 204: { description: 'Ended: no later request with their tokens is accepted.' } },
  }),
  list: endpoint({
    method: 'get',
    path: '/api/auth/sessions',
    id: 'listSessions',
    summary: "One's own sessions, the last used first",
    tag,
    access: 'user',
    answers: { 200: { description: 'The sessions.', schema: z.object({ data: z.array(sessionView) }) } },
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/auth/sessions/:id',
    id: 'endSession',
    summary: "End one of one's own sessions",
    tag,
    access: 'user',
    params: z.strictObject({ id: sessionId }),
    answers: { 204: { description: 'Ended, now or before.' } },
  }),
};
