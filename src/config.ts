import { config as readDotenv } from 'dotenv';
import { auth } from './settings/auth';
import { cache } from './settings/cache';
import { checkTogether } from './settings/checks';
import { database } from './settings/database';
import { limits } from './settings/limits';
import { server } from './settings/server';
import type { Setting } from './settings/setting';

/** Every setting of the service, by section. */
export const settings = { server, database, cache, auth, limits } as const;

type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };
export type Config = { readonly [S in keyof typeof settings]: Values<(typeof settings)[S]> };
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Fault {
  readonly env: string;
  readonly message: string;
}

/** All faults of the settings at once; its text is meant for an operator's terminal. */
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

/** Pure: the same environment gives the same config. Throws ConfigError. */
export function parseConfig(environment: Environment): Config {
  const faults: Fault[] = [];
  const sections = Object.entries(settings).map(([name, section]) => {
    const values = Object.entries(section).map(([key, one]: [string, Setting<unknown>]) => {
      // An empty variable is an unset one: that is what `FOO=` in a .env or a compose file means to people.
      const given = environment[one.env];
      const result = one.schema.safeParse(given === undefined || given === '' ? one.fallback : given);
      if (result.success) return [key, result.data];
      const shown = one.secret || given === undefined ? '' : `: it is ${JSON.stringify(given)}`;
      faults.push({ env: one.env, message: `${result.error.issues[0]?.message ?? 'is not valid'}${shown}` });
      return [key, undefined];
    });
    return [name, Object.freeze(Object.fromEntries(values))];
  });
  const parsed = Object.freeze(Object.fromEntries(sections)) as Config;
  const bad = new Set(faults.map((fault) => fault.env));
  faults.push(...checkTogether(parsed).filter((fault) => !bad.has(fault.env)));
  if (faults.length > 0) throw new ConfigError(faults);
  return parsed;
}

/** Reads `.env` (which never overrides a variable that is set) and the environment. The only reader of process.env. */
export function loadConfig(overrides: Environment = {}): Config {
  readDotenv({ quiet: true });
  return parseConfig({ ...process.env, ...overrides });
}

/** The environment a child process gets: ours, plus what the parent decided. */
export function childEnvironment(extra: Environment = {}): NodeJS.ProcessEnv {
  return { ...process.env, ...extra };
}

/** Which manager started this process, told from the variables that it leaves. */
export function processRole(): { readonly underPm2: boolean; readonly instance: string | undefined } {
  return { underPm2: process.env['pm_id'] !== undefined, instance: process.env['NODE_APP_INSTANCE'] };
}
