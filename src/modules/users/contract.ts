import { z } from 'zod';
import type { Policy } from '../../kernel/permissions';
import { endpoint } from '../../platform/http/endpoint';
import { displayName, emailAddress } from '../../platform/http/fields';
import { pageOf, shownId } from '../../platform/http/view-schemas';
import { mergedMetadata, wholeMetadata } from './metadata/contract';
import type { PasswordsPort } from './passwords-port';
import { readOnlyMembers } from './read-only';
import { returnedRoleSchema, roleSchema, userIdOrMe } from './schemas';
import { COUNT_CAP, LIMIT_MAX, listParameters, type MetadataFilter } from './search/parameters';
import { userDetails, userView } from './view';

const tag = 'users';
const ETAG = { ETag: "Strong entity tag of the user's revision, for If-None-Match and If-Match." };
const byId = z.strictObject({ id: userIdOrMe });

const listedUser = userView
  .partial()
  .required({ id: true })
  .meta({ id: 'ListedUser', description: 'A user, with the members that `fields` names or all.' });

const userPage = z
  .object({
    ...pageOf(listedUser, LIMIT_MAX),
    prev_cursor: pageOf(listedUser, LIMIT_MAX).next_cursor.meta({
      description: 'For the parameter `cursor` of the page before; null on the first.',
    }),
    total: z
      .int()
      .min(0)
      .max(COUNT_CAP)
      .optional()
      .meta({ description: 'With `count=true`: how many users there are.', examples: [1] }),
    total_capped: z
      .boolean()
      .optional()
      .meta({ description: 'Whether there are more than `total`.', examples: [false] }),
  })
  .meta({ id: 'UserPage' });

export const userAnswer = { description: 'The user.', schema: userDetails, headers: ETAG };

export const WRITE_PROBLEMS = [
  ...([
    'administrators_only',
    'exceeds_permissions',
    'user_not_found',
    'last_admin',
    'precondition_failed',
    'busy',
  ] as const),
] as const;
const CHANGE_PROBLEMS = [
  ...WRITE_PROBLEMS,
  'role_change_forbidden',
  'email_change_needs_proof',
  'insufficient_user_authentication',
  'email_taken',
  'external_id_taken',
  'member_write_forbidden',
] as const;

const unseenUser = z.object({ id: shownId('Id of the user.') }).meta({
  id: 'UnseenUser',
  description: 'The answer to a caller without the permission `users:read`.',
});
export const UNSEEN = {
  description: 'Changed, by a caller without the permission `users:read`.',
  headers: ETAG,
};

/** Of an account with a password: its owner could replace that by the mailed link. */
function refuseInvitation(
  body: { password?: string | undefined; send_invitation?: boolean | undefined },
  context: z.RefinementCtx,
): void {
  if (body.password === undefined || body.send_invitation !== true) return;
  const message = 'must not be true for an account with a password';
  const params = { code: 'not_allowed' };
  context.addIssue({ code: 'custom', path: ['send_invitation'], message, params });
}

/** The users' part of the contract. The rules for new passwords come from outside. */
export const userEndpoints = (
  { newPassword, refuseIdentity }: Pick<PasswordsPort, 'newPassword' | 'refuseIdentity'>,
  policy: Policy,
  metadata: readonly MetadataFilter[],
) => ({
  list: endpoint({
    method: 'get',
    path: '/api/users',
    id: 'listUsers',
    summary: 'List users, by keyset pages',
    tag,
    access: 'user',
    permission: 'users:read',
    query: listParameters(policy, metadata),
    answers: {
      200: {
        description: 'One page.',
        schema: userPage,
        headers: {
          ETag: 'Strong entity tag of the page, for If-None-Match.',
          Link: 'RFC 8288 links to the next and the previous page, where there are such.',
        },
      },
      304: {
        description: 'Not modified since If-None-Match.',
        headers: { ETag: 'Strong entity tag of the page.' },
      },
    },
    problems: ['invalid_cursor', 'sort_not_supported', 'filters_not_supported', 'index_missing'],
  }),
  create: endpoint({
    method: 'post',
    path: '/api/users',
    id: 'createUser',
    summary: 'Create a user; without a password, its owner sets one by an invitation',
    tag,
    access: 'user',
    permission: 'users:write',
    body: z
      .strictObject({
        name: displayName,
        email: emailAddress,
        password: newPassword.optional(),
        role: roleSchema(policy).optional(),
        ...wholeMetadata,
        send_invitation: z.boolean().optional().meta({
          description: 'Mails the link to set the password; also needs `users:send_mail`.',
        }),
      })
      .superRefine(refuseIdentity)
      .superRefine(refuseInvitation),
    answers: {
      201: {
        description: 'Created.',
        schema: z.union([userDetails, unseenUser]),
        headers: { ...ETAG, Location: 'Path of the new user.' },
      },
    },
    problems: [
      'administrators_only',
      'exceeds_permissions',
      'role_change_forbidden',
      'insufficient_user_authentication',
      'email_taken',
      'external_id_taken',
      'member_write_forbidden',
      'mail_not_configured',
      'hash_queue_full',
      'password_check_unavailable',
    ],
  }),
  get: endpoint({
    method: 'get',
    path: '/api/users/:id',
    id: 'getUser',
    summary: 'Read a user',
    tag,
    local: true,
    access: 'user',
    permission: 'users:read',
    own: true,
    params: byId,
    answers: {
      200: userAnswer,
      304: { description: 'Not modified since If-None-Match.', headers: ETAG },
    },
    problems: ['user_not_found'],
  }),
  replace: endpoint({
    method: 'put',
    path: '/api/users/:id',
    id: 'replaceUser',
    summary:
      'Replace the members of a user that can be changed; the answer of GET may be sent back, read-only members unchanged',
    tag,
    access: 'user',
    permission: 'users:write',
    own: true,
    params: byId,
    body: z.strictObject({
      name: displayName,
      email: emailAddress,
      role: returnedRoleSchema(policy).optional(),
      ...wholeMetadata,
      ...readOnlyMembers,
    }),
    answers: { 200: userAnswer, 204: UNSEEN },
    problems: CHANGE_PROBLEMS,
  }),
  patch: endpoint({
    method: 'patch',
    path: '/api/users/:id',
    id: 'patchUser',
    summary: 'Change a user by JSON merge patch (RFC 7396)',
    tag,
    access: 'user',
    permission: 'users:write',
    own: true,
    params: byId,
    consumes: ['application/merge-patch+json', 'application/json'],
    // A result computed from the old state cannot be recognised in the new one.
    idempotencyKey: true,
    body: z.strictObject({
      ...{
        name: displayName.optional(),
        email: emailAddress.optional(),
        role: returnedRoleSchema(policy).optional(),
      },
      ...mergedMetadata,
      ...readOnlyMembers,
    }),
    answers: { 200: userAnswer, 204: UNSEEN },
    problems: CHANGE_PROBLEMS,
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/users/:id',
    id: 'deleteUser',
    summary: 'Delete a user',
    tag,
    access: 'user',
    permission: 'users:write',
    own: true,
    params: byId,
    answers: { 204: { description: 'Deleted.' } },
    problems: [...WRITE_PROBLEMS, 'insufficient_user_authentication'],
  }),
});
