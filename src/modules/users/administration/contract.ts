import { z } from 'zod';
import { problemCodes } from '../../../kernel/problem-codes';
import { endpoint } from '../../../platform/http/endpoint';
import { displayLine, objectId, timestamp } from '../../../platform/http/fields';
import { shownId } from '../../../platform/http/view-schemas';
import { BAN_REASON_MAX } from '../bans';
import { UNSEEN, userAnswer, WRITE_PROBLEMS } from '../contract';

const BULK_MAX = 100;

const timeError = ({ code }: { readonly code?: string }) =>
  code === 'invalid_format' ? 'must be a time such as 2030-01-31T12:00:00Z (RFC 3339)' : undefined;

export const banEnd = timestamp(timeError).meta({
  description: 'When the ban ends by itself (RFC 3339), in the future; without it, when lifted.',
  maxLength: 64,
  examples: ['2030-01-31T12:00:00Z'],
});
export const banReason = displayLine(BAN_REASON_MAX).meta({
  description: 'For administrators and the audit log.',
  examples: ['spam'],
});
/** null as the answer has it: none. */
const ban = { until: banEnd.nullable().optional(), reason: banReason.nullable().optional() };

const ids = z
  .array(objectId)
  .min(1)
  .max(BULK_MAX)
  .superRefine((all, context) => {
    const seen = new Set<string>();
    for (const [at, id] of all.entries()) {
      if (seen.has(id))
        context.addIssue({
          code: 'custom',
          path: [at],
          message: 'occurs twice',
          params: { code: 'duplicate_item' },
        });
      seen.add(id);
    }
  })
  .meta({ description: 'Ids of users, each once.', uniqueItems: true });

const outcome = z
  .object({
    id: shownId('Id as it was sent.'),
    status: z
      .int()
      .min(204)
      .max(599)
      .meta({
        description: 'The status of the single operation; 204: done.',
        examples: [204],
      }),
    code: z
      .enum(problemCodes)
      .optional()
      .meta({ description: 'Why it was not done.', examples: ['user_not_found'] }),
  })
  .meta({ id: 'BulkOutcome' });
const outcomes = z
  .object({ data: z.array(outcome).max(BULK_MAX) })
  .meta({ id: 'BulkOutcomes', description: 'One outcome for each id, in the order of the ids.' });

const common = { method: 'post', tag: 'users', access: 'user' } as const;
const params = z.strictObject({ id: objectId.meta({ description: 'Id of a user.' }) });
const ONE_USER = { 200: userAnswer, 204: UNSEEN };
const LOGIN = 'insufficient_user_authentication';
const problems = [...WRITE_PROBLEMS, LOGIN] as const;

export const userAdministrationEndpoints = {
  removeMany: endpoint({
    ...common,
    path: '/api/users/delete',
    id: 'deleteUsers',
    summary: 'Delete several users, each as `DELETE /api/users/:id` does',
    permission: 'users:write',
    body: z.strictObject({ ids }),
    answers: { 200: { description: 'What became of each.', schema: outcomes } },
    problems: [LOGIN],
  }),
  banMany: endpoint({
    ...common,
    path: '/api/users/ban',
    id: 'banUsers',
    summary: 'Ban several users, each as `POST /api/users/:id/ban` does',
    permission: 'users:ban',
    body: z.strictObject({ ids, ...ban }),
    answers: { 200: { description: 'What became of each.', schema: outcomes } },
    problems: [LOGIN],
  }),
  ban: endpoint({
    ...common,
    path: '/api/users/:id/ban',
    id: 'banUser',
    summary: 'Ban a user and end every session; of a banned user, change the end and the reason',
    permission: 'users:ban',
    params,
    body: z.strictObject(ban),
    answers: ONE_USER,
    problems: [...problems, 'own_account'],
  }),
  unban: endpoint({
    ...common,
    path: '/api/users/:id/unban',
    id: 'unbanUser',
    summary: 'Lift the ban of a user; its sessions stay ended',
    permission: 'users:ban',
    params,
    answers: ONE_USER,
    problems,
  }),
  requirePasswordChange: endpoint({
    ...common,
    path: '/api/users/:id/require-password-change',
    id: 'requirePasswordChange',
    summary: 'Let the next login of a user ask for a new password',
    permission: 'users:write',
    params,
    body: z.strictObject({
      end_sessions: z
        .boolean()
        .optional()
        .meta({ description: 'Whether every session ends now.', default: true }),
    }),
    answers: ONE_USER,
    problems,
  }),
};
