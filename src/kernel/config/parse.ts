import { audit } from './audit';
import { auth } from './auth';
import { browser } from './browser';
import { cache } from './cache';
import { checkTogether } from './checks';
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

/** Lists all faults of the settings; the message is for an operator's terminal. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super(
      `${faults.length === 1 ? 'A setting is' : `${faults.length} settings are`} not usable:\n${faults.map((f) => `  ${f.env} ${f.message}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

/** By its name: the embedded database is another bundle, with a class of its own. */
export const isConfigError = (error: unknown): error is ConfigError =>
  error instanceof Error && error.name === 'ConfigError';

/** What was read; a value with a fault is undefined. */
export interface SettingsRead {
  readonly config: Config;
  readonly faults: readonly Fault[];
}

/** A secret may also be given as `NAME_FILE`. */
export const faultySettings = (faults: readonly Fault[]): ReadonlySet<string> =>
  new Set(faults.map(({ env }) => env.replace(/_FILE$/, '')));

/** With the faults of a later step, except those of settings that have one already. */
export function withFurther(faults: readonly Fault[], found: readonly Fault[]): readonly Fault[] {
  const bad = faultySettings(faults);
  return [...faults, ...found.filter(({ env }) => !bad.has(env))];
}

/** Pure: the same environment gives the same settings. `found`: faults of an earlier step. */
export function parseSettings(
  environment: Environment,
  found: readonly Fault[] = [],
): SettingsRead {
  const faults: Fault[] = [...found];
  const sections = Object.entries(settings).map(([name, section]) => {
    const values = Object.entries(section).map(([key, one]: [string, Setting<unknown>]) => {
      // An empty variable counts as unset: `FOO=` in a .env or compose file usually means that.
      const given = environment[one.env];
      const result = one.schema.safeParse(
        given === undefined || given === '' ? one.fallback : given,
      );
      if (result.success) return [key, result.data];
      const shown =
        one.secret || given === undefined
          ? ''
          : `: it is ${JSON.stringify(given.replace(/\/\/[^/@]*@/, '//…@'))}`;
      faults.push({
        env: one.env,
        message: `${result.error.issues[0]?.message ?? 'is not valid'}${shown}`,
      });
      return [key, undefined];
    });
    return [name, Object.freeze(Object.fromEntries(values))];
  });
  const parsed = Object.freeze(Object.fromEntries(sections)) as Config;
  return { config: parsed, faults: withFurther(faults, checkTogether(parsed)) };
}

/** Throws a ConfigError that lists all faults. */
export function usable({ config, faults }: SettingsRead): Config {
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

export const parseConfig = (environment: Environment): Config => usable(parseSettings(environment));
