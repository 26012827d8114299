import { audit } from './audit';
import { auth } from './auth';
import { browser } from './browser';
import { cache } from './cache';
import { cluster } from './cluster';
import { database } from './database';
import { dpop } from './dpop';
import { emailSignIn } from './email-sign-in';
import { events } from './events';
import { factors } from './factors';
import { federation } from './federation';
import { jobs } from './jobs';
import { limits } from './limits';
import { login } from './login';
import { mail } from './mail';
import { metadata } from './metadata';
import { passkeys } from './passkeys';
import { server } from './server';
import { sessions } from './sessions';
import type { Setting } from './setting';
import { tracing } from './tracing';
import { webhooks } from './webhooks';

/** Every setting of the service, by section. */
export const settings = {
  server,
  cluster,
  database,
  cache,
  auth,
  sessions,
  browser,
  dpop,
  login,
  factors,
  federation,
  passkeys,
  audit,
  events,
  webhooks,
  mail,
  limits,
  metadata,
  emailSignIn,
  jobs,
  tracing,
} as const;

type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };
export type Config = { readonly [S in keyof typeof settings]: Values<(typeof settings)[S]> };
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Fault {
  readonly env: string;
  readonly message: string;
}
