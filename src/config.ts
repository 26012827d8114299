import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { config as readDotenv } from 'dotenv';
import { auth } from './settings/auth';
import { cache } from './settings/cache';
import { checkTogether } from './settings/checks';
import { cluster } from './settings/cluster';
import { database } from './settings/database';
import { limits } from './settings/limits';
import { mail } from './settings/mail';
import { readSecretFiles } from './settings/secret-files';
import { server } from './settings/server';
import { sessions } from './settings/sessions';
import type { Setting } from './settings/setting';

/** Every setting of the service, by section. */
export const settings = { server, cluster, database, cache, auth, sessions, mail, limits } as const;

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

/** Pure: the same environment gives the same config. Throws ConfigError, which names the faults `found` before as well. */
export function parseConfig(environment: Environment, found: readonly Fault[] = []): Config {
  const faults: Fault[] = [...found];
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
  const bad = new Set(faults.map((fault) => fault.env.replace(/_FILE$/, '')));
  faults.push(...checkTogether(parsed).filter((fault) => !bad.has(fault.env)));
  if (faults.length > 0) throw new ConfigError(faults);
  return parsed;
}

const secretNames = (): string[] =>
  Object.values(settings)
    .flatMap((section): Setting<unknown>[] => Object.values(section))
    .flatMap((one) => (one.secret === true ? [one.env] : []));

/** Reads `.env` (which never overrides a variable that is set) and the environment. The only reader of process.env. */
export function loadConfig(overrides: Environment = {}): Config {
  const file: Record<string, string> = {};
  // Not into process.env: workers that start later would then inherit what `.env` said when the primary started.
  readDotenv({ quiet: true, processEnv: file });
  const environment = { ...file, ...process.env, ...overrides };
  const secrets = readSecretFiles(environment, secretNames());
  return parseConfig({ ...environment, ...secrets.values }, secrets.faults);
}

/** The environment a child process gets: ours, plus what the parent decided. */
export function childEnvironment(extra: Environment = {}): NodeJS.ProcessEnv {
  return { ...process.env, ...extra };
}

/** What the primary tells each of its workers through the environment, beside the settings. */
export const handedDown = { workerId: 'CLUSTER_WORKER_ID', engine: 'CLUSTER_DATABASE_ENGINE' } as const;

export interface ProcessRole {
  /** `primary` also under PM2's fork mode; `worker` of our primary; `pm2` is a worker whose primary is PM2 (cluster mode). */
  readonly role: 'primary' | 'worker' | 'pm2';
  /** The worker's number; PM2 counts instances from 0. */
  readonly workerId: number;
  /** The database engine that the primary started, if it did. */
  readonly engine: string | undefined;
}

/** Told from Node's cluster module and the variables that a manager leaves. */
export function processRole(isClusterWorker: boolean): ProcessRole {
  const own = process.env[handedDown.workerId];
  const role = !isClusterWorker ? 'primary' : own === undefined ? 'pm2' : 'worker';
  return { role, workerId: Number(own ?? process.env['NODE_APP_INSTANCE'] ?? 0), engine: process.env[handedDown.engine] };
}

/** What the starters of the embedded database look up; these variables belong to the system and to mongodb-memory-server. */
export interface ToolEnvironment {
  readonly path: readonly string[];
  readonly cacheDir: string;
  readonly mongodBinary: string | undefined;
  /** Folders in which mongodb-memory-server keeps the binaries that it downloaded. */
  readonly mongodFolders: readonly string[];
}

export function toolEnvironment(packageName: string, environment: Environment = process.env): ToolEnvironment {
  const set = (name: string) => environment[name] || undefined;
  const downloads = [
    set('MONGOMS_DOWNLOAD_DIR'),
    join(homedir(), '.cache/mongodb-binaries'),
    resolve('node_modules/.cache/mongodb-memory-server'),
  ];
  return {
    path: (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    cacheDir: join(set('XDG_CACHE_HOME') ?? join(homedir(), '.cache'), packageName),
    mongodBinary: set('MONGOMS_SYSTEM_BINARY'),
    mongodFolders: downloads.filter((folder) => folder !== undefined),
  };
}
