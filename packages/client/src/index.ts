export type { Auth, MfaRequired, SignInResult } from './auth.js';
export { type Client, createClient, type Users } from './client.js';
export { ClientError, type ClientErrorCode, isProblem, ProblemError } from './errors.js';
export type { ClientOptions } from './options.js';
export type {
  Answer,
  Body,
  CallInput,
  CallOptions,
  components,
  FieldError,
  FileBody,
  ListedUser,
  Method,
  PathOf,
  Problem,
  ProblemCode,
  paths,
  Query,
  Schemas,
  TokenStorage,
  User,
} from './types.js';
export type { UserChange, UserPatch } from './users.js';
