import { z } from 'zod';
import { endpoint } from '../http/endpoint';
import { characters } from '../http/validation';
import { emailSchema, nameSchema } from '../users/schemas';
import { userView } from '../users/view';

const tag = 'auth';

/** A password that is offered, not chosen: any text that could be one. What it may be is for the account to say. */
export const offeredPassword = characters(1, 256).meta({ format: 'password' });

/** RFC 6749 §5.1 names. */
const pair = {
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.int().meta({ description: 'Life of the access token, in seconds.' }),
  refresh_token: z.string().meta({ description: 'Opaque; good for one use.' }),
};

export const tokenPair = z.object(pair).meta({ id: 'TokenPair' });
export const tokenAnswer = z.object({ user: userView, ...pair }).meta({ id: 'Tokens' });

const refreshToken = characters(1, 512).meta({ description: 'The refresh token of the last answer.' });

export const authEndpoints = (newPassword: z.ZodType<string>) => ({
  register: endpoint({
    method: 'post',
    path: '/api/auth/register',
    id: 'register',
    summary: 'Open an account and sign in',
    tag,
    access: 'public',
    body: z.strictObject({ name: nameSchema, email: emailSchema, password: newPassword }),
    answers: { 201: { description: 'Registered and signed in.', schema: tokenAnswer, headers: { Location: 'Path of the new user.' } } },
    problems: [409],
  }),
  login: endpoint({
    method: 'post',
    path: '/api/auth/login',
    id: 'login',
    summary: 'Sign in with e-mail and password',
    tag,
    access: 'public',
    body: z.strictObject({ email: emailSchema, password: offeredPassword }),
    answers: { 200: { description: 'Signed in.', schema: tokenAnswer } },
    problems: [401],
  }),
  refresh: endpoint({
    method: 'post',
    path: '/api/auth/refresh',
    id: 'refresh',
    summary: 'A new pair of tokens for a refresh token; its repeat within the grace window gets the same answer',
    tag,
    access: 'public',
    body: z.strictObject({ refresh_token: refreshToken }),
    answers: { 200: { description: 'The new pair.', schema: tokenPair } },
    problems: [401],
  }),
  profile: endpoint({
    method: 'get',
    path: '/api/auth/profile',
    id: 'profile',
    summary: 'Who am I',
    tag,
    access: 'user',
    answers: {
      200: { description: 'The signed-in user.', schema: userView, headers: { ETag: 'Strong entity tag.' } },
      304: { description: 'Not modified since If-None-Match.' },
    },
  }),
  changePassword: endpoint({
    method: 'patch',
    path: '/api/auth/password',
    id: 'changePassword',
    summary: 'Change the password and end every other session',
    tag,
    access: 'user',
    body: z.strictObject({ current_password: offeredPassword, new_password: newPassword }),
    answers: { 204: { description: 'Changed.' } },
  }),
});
