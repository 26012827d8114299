import { z } from 'zod';
import { endpoint } from '../http/endpoint';
import { listParameters } from './list';
import { emailSchema, nameSchema, roleSchema, userId } from './schemas';
import { userView } from './view';

const tag = 'users';
const ETAG = { ETag: "Strong entity tag of the user's revision, for If-None-Match and If-Match." };
const byId = z.strictObject({ id: z.union([z.literal('me'), userId]).meta({ description: 'Id of a user, or `me`.' }) });

const user = { description: 'The user.', schema: userView, headers: ETAG };

/** The users' part of the contract. `newPassword` is the rule for new passwords, which authentication owns. */
export const userEndpoints = (newPassword: z.ZodType<string>) => ({
  list: endpoint({
    method: 'get',
    path: '/api/users',
    id: 'listUsers',
    summary: 'List users, by keyset pages',
    tag,
    access: 'admin',
    scope: 'users:read',
    query: listParameters,
    answers: {
      200: {
        description: 'One page.',
        schema: z.object({
          data: z.array(userView),
          next_cursor: z.string().nullable(),
          has_more: z.boolean(),
          total: z.int().optional(),
          total_capped: z.boolean().optional(),
        }),
        headers: { Link: 'RFC 8288 link to the next page, where there is one.' },
      },
    },
  }),
  create: endpoint({
    method: 'post',
    path: '/api/users',
    id: 'createUser',
    summary: 'Create a user',
    tag,
    access: 'admin',
    scope: 'users:write',
    body: z.strictObject({ name: nameSchema, email: emailSchema, password: newPassword, role: roleSchema.optional() }),
    answers: { 201: { ...user, description: 'Created.', headers: { ...ETAG, Location: 'Path of the new user.' } } },
    problems: [409],
  }),
  get: endpoint({
    method: 'get',
    path: '/api/users/:id',
    id: 'getUser',
    summary: 'Read a user (oneself, or any as administrator)',
    tag,
    access: 'user',
    scope: 'users:read',
    params: byId,
    answers: { 200: user, 304: { description: 'Not modified since If-None-Match.' } },
    problems: [403, 404],
  }),
  replace: endpoint({
    method: 'put',
    path: '/api/users/:id',
    id: 'replaceUser',
    summary: 'Replace what can be changed of a user',
    tag,
    access: 'user',
    scope: 'users:write',
    params: byId,
    body: z.strictObject({ name: nameSchema, email: emailSchema, role: roleSchema.optional() }),
    answers: { 200: user },
    problems: [403, 404, 409, 412],
  }),
  patch: endpoint({
    method: 'patch',
    path: '/api/users/:id',
    id: 'patchUser',
    summary: 'Change a user by JSON merge patch (RFC 7396)',
    tag,
    access: 'user',
    scope: 'users:write',
    params: byId,
    consumes: ['application/merge-patch+json', 'application/json'],
    body: z.strictObject({ name: nameSchema.optional(), email: emailSchema.optional(), role: roleSchema.optional() }),
    answers: { 200: user },
    problems: [403, 404, 409, 412],
  }),
  remove: endpoint({
    method: 'delete',
    path: '/api/users/:id',
    id: 'deleteUser',
    summary: 'Delete a user',
    tag,
    access: 'user',
    scope: 'users:write',
    params: byId,
    answers: { 204: { description: 'Deleted.' } },
    problems: [403, 404, 409, 412],
  }),
});
