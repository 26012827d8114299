import { homedir, tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { audit } from './audit';
import { auth } from './auth';
import { browser } from './browser';
import { cache } from './cache';
import { checkTogether } from './checks';
import { cluster } from './cluster';
import { database } from './database';
import { dpop } from './dpop';
import { emailSignIn } from './email-sign-in';
import { readEnvironmentFile } from './environment-file';
import { events } from './events';
import { factors } from './factors';
import { federation } from './federation';
import { jobs } from './jobs';
import { limits } from './limits';
import { login } from './login';
import { mail } from './mail';
import { metadata } from './metadata';
import { misspeltNames } from './names';
import { passkeys } from './passkeys';
import { readProviderSecrets, readSecretFiles } from './secret-files';
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

/**
 * Pure: the same environment gives the same config. Throws a ConfigError that also lists the faults
 * `found` earlier.
 */
export function parseConfig(environment: Environment, found: readonly Fault[] = []): Config {
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
  const bad = new Set(faults.map((fault) => fault.env.replace(/_FILE$/, '')));
  faults.push(...checkTogether(parsed).filter((fault) => !bad.has(fault.env)));
  if (faults.length > 0) throw new ConfigError(faults);
  return parsed;
}

const everySetting = (): Setting<unknown>[] =>
  Object.values(settings).flatMap((section): Setting<unknown>[] => Object.values(section));
const settingNames = (): string[] => everySetting().map(({ env }) => env);
const secretNames = (): string[] =>
  everySetting().flatMap(({ secret, env }) => (secret === true ? [env] : []));

/** Every variable that a setting is read from; ecosystem.config.js passes them to its apps. */
export const environmentNames = (): string[] => [
  ...settingNames(),
  ...secretNames().map((name) => `${name}_FILE`),
];

export interface LoadOptions {
  /** The folder of `.env`; by default the working directory. */
  readonly folder?: string;
}

/**
 * Reads `.env` (which never overrides a variable that is set) and the environment. The only reader
 * of process.env.
 */
export function loadConfig(
  overrides: Environment = {},
  { folder = '.' }: LoadOptions = {},
): Config {
  const names = { settings: settingNames(), secrets: secretNames() };
  const given = { ...currentEnvironment(), ...overrides };
  // `.env` is not copied into process.env: workers that start later would inherit the content that
  // it had when the primary started.
  const file = readEnvironmentFile(join(folder, '.env'), given, names);
  return configOf({ ...file.values, ...given }, file.faults);
}

/** The settings of a file alone, without the environment: those of another host. */
export function readConfigFile(path: string): Config {
  const names = { settings: settingNames(), secrets: secretNames() };
  const file = readEnvironmentFile(path, {}, names);
  return configOf(file.values, file.faults);
}

/** With secrets from files. */
function configOf(environment: Environment, found: readonly Fault[]): Config {
  const secrets = readSecretFiles(environment, secretNames());
  const values = { ...environment, ...secrets.values };
  const { env } = settings.federation.providers;
  const providers = readProviderSecrets(env, values[env] ?? '');
  const faults = [...found, ...secrets.faults, ...providers.faults];
  return parseConfig({ ...values, [env]: providers.value }, faults);
}

/** Variables that look like a misspelt setting. Only warnings: other programs may read them. */
export function environmentWarnings(
  environment: Environment = process.env,
): { env: string; meant: string }[] {
  const given = Object.keys(environment).filter((name) => environment[name] !== undefined);
  return misspeltNames(given, { settings: settingNames(), secrets: secretNames() });
}

/**
 * PM2's daemon passes the environment of its own start to its apps, and more of it to apps in
 * cluster mode. So the ecosystem file passes the settings of the current shell in one variable,
 * which replaces all settings in the inherited environment.
 */
function currentEnvironment(): Environment {
  const passed = process.env[inheritedVariables.settings];
  if (passed === undefined || passed === '') return process.env;
  const ours = new Set(environmentNames());
  const rest = Object.entries(process.env).filter(([name]) => !ours.has(name));
  return { ...Object.fromEntries(rest), ...(JSON.parse(passed) as Environment) };
}

/** The environment of a child process: this process's own, with `extra`. */
export function childEnvironment(extra: Environment = {}): NodeJS.ProcessEnv {
  return { ...process.env, ...extra };
}

/** Variables, besides the settings, that the primary passes to its workers. */
export const inheritedVariables = {
  workerId: 'CLUSTER_WORKER_ID',
  instance: 'CLUSTER_INSTANCE',
  engine: 'CLUSTER_DATABASE_ENGINE',
  prepares: 'CLUSTER_PREPARES',
  wanted: 'CLUSTER_WORKERS_WANTED',
  settings: 'CLUSTER_SETTINGS',
} as const;

/**
 * The process with which this one must exit: npm, under `npm start`. npm forwards SIGTERM and
 * SIGINT but exits on any other signal; the service would then keep running as an orphan.
 */
export function parentToFollow(): number | undefined {
  return process.env['npm_lifecycle_event'] === 'start' ? process.ppid : undefined;
}

export interface ProcessRole {
  /**
   * `primary`: also in PM2's fork mode. `worker`: forked by this service's primary. `pm2`: a worker
   * forked by PM2 (cluster mode).
   */
  readonly role: 'primary' | 'worker' | 'pm2';
  /** The worker's number; PM2 counts instances from 0. */
  readonly workerId: number;
  /** Name of the primary that forked this worker, new at each of its starts. */
  readonly instance: string | undefined;
  /** The database engine that the primary started, if it did. */
  readonly engine: string | undefined;
  /**
   * The worker prepares the database before it serves: the first worker of a reload, and every
   * worker under PM2, where no primary of this service prepares it.
   */
  readonly prepares: boolean;
  /** Under PM2, the number of workers in the ecosystem file; undefined when it has none. */
  readonly wanted: number | undefined;
}

/** Derived from Node's cluster module and the variables that the process manager sets. */
export function processRole(isClusterWorker: boolean): ProcessRole {
  const own = process.env[inheritedVariables.workerId];
  const role = !isClusterWorker ? 'primary' : own === undefined ? 'pm2' : 'worker';
  return {
    role,
    workerId: Number(own ?? process.env['NODE_APP_INSTANCE'] ?? 0),
    instance: process.env[inheritedVariables.instance],
    engine: process.env[inheritedVariables.engine],
    prepares: role === 'pm2' || process.env[inheritedVariables.prepares] === '1',
    wanted: Number(process.env[inheritedVariables.wanted]) || undefined,
  };
}

/** os.homedir() throws when the user id has no entry in the user database. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return tmpdir();
  }
}

/**
 * Variables that the starters of the embedded database read; they belong to the system and to
 * mongodb-memory-server.
 */
export interface ToolEnvironment {
  readonly path: readonly string[];
  readonly cacheDir: string;
  readonly mongodBinary: string | undefined;
  /** Folders in which mongodb-memory-server keeps the binaries that it downloaded. */
  readonly mongodFolders: readonly string[];
}

export function toolEnvironment(
  packageName: string,
  environment: Environment = process.env,
): ToolEnvironment {
  const set = (name: string) => environment[name] || undefined;
  const home = set('HOME') ?? homeFolder();
  const downloads = [
    set('MONGOMS_DOWNLOAD_DIR'),
    join(home, '.cache/mongodb-binaries'),
    resolve('node_modules/.cache/mongodb-memory-server'),
  ];
  return {
    path: (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    cacheDir: join(set('XDG_CACHE_HOME') ?? join(home, '.cache'), packageName),
    mongodBinary: set('MONGOMS_SYSTEM_BINARY'),
    mongodFolders: downloads.filter((folder) => folder !== undefined),
  };
}
