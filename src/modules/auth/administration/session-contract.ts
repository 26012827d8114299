import { z } from 'zod';
import { endpoint } from '../../../platform/http/endpoint';
import { objectId } from '../../../platform/http/fields';
import { sessionId, sessionList } from '../sessions/contract';

const userId = objectId.meta({ description: 'Id of a user.' });
const common = { tag: 'sessions', access: 'user' } as const;
const END_PROBLEMS = [
  'administrators_only',
  'exceeds_permissions',
  'user_not_found',
  'insufficient_user_authentication',
] as const;

/** The sessions of any user, for those with a permission. */
export const sessionAdministrationEndpoints = {
  list: endpoint({
    ...common,
    method: 'get',
    path: '/api/users/:id/sessions',
    id: 'listSessionsOfUser',
    summary: 'List the sessions of a user, the last used first',
    permission: 'sessions:read',
    params: z.strictObject({ id: userId }),
    answers: { 200: { description: 'The sessions.', schema: sessionList } },
    problems: ['user_not_found'],
  }),
  endAll: endpoint({
    ...common,
    method: 'delete',
    path: '/api/users/:id/sessions',
    id: 'endSessionsOfUser',
    summary: 'End every session of a user',
    permission: 'sessions:end',
    params: z.strictObject({ id: userId }),
    answers: { 204: { description: 'Ended. No later request with their tokens is accepted.' } },
    problems: END_PROBLEMS,
  }),
  end: endpoint({
    ...common,
    method: 'delete',
    path: '/api/users/:id/sessions/:sessionId',
    id: 'endSessionOfUser',
    summary: 'End one session of a user',
    permission: 'sessions:end',
    params: z.strictObject({ id: userId, sessionId }),
    answers: { 204: { description: 'Ended, now or earlier.' } },
    problems: END_PROBLEMS,
  }),
};
