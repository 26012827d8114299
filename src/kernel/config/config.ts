import { homedir, tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { readEnvironmentFile } from './environment-file';
import { misspeltNames } from './names';
import { parseSettings, type SettingsRead, usable } from './parse';
import { readProviderSecrets, readSecretFiles } from './secret-files';
import type { Setting } from './setting';
import { type Config, type Environment, type Fault, settings } from './settings';

export {
  ConfigError,
  faultySettings,
  isConfigError,
  parseConfig,
  type SettingsRead,
  usable,
  withFurther,
} from './parse';
export { type Config, type Environment, type Fault, settings } from './settings';

const everySetting = (): Setting<unknown>[] =>
  Object.values(settings).flatMap((section): Setting<unknown>[] => Object.values(section));
const settingNames = (): string[] => everySetting().map(({ env }) => env);
const secretNames = (): string[] =>
  everySetting().flatMap(({ secret, env }) => (secret === true ? [env] : []));

const names = () => ({ settings: settingNames(), secrets: secretNames() });

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
export function readSettings(
  overrides: Environment = {},
  { folder = '.' }: LoadOptions = {},
): SettingsRead {
  const given = { ...currentEnvironment(), ...overrides };
  // `.env` is not copied into process.env: workers that start later would inherit the content that
  // it had when the primary started.
  const file = readEnvironmentFile(join(folder, '.env'), given, names());
  return parsed({ ...file.values, ...given }, file.faults);
}

/** Throws a ConfigError that lists all faults. */
export const loadConfig = (overrides: Environment = {}, options: LoadOptions = {}): Config =>
  usable(readSettings(overrides, options));

/** The settings of a file alone, without the environment: those of another host. */
export function readConfigFile(path: string): Config {
  const file = readEnvironmentFile(path, {}, names());
  return usable(parsed(file.values, file.faults));
}

/** With secrets from files. */
function parsed(environment: Environment, found: readonly Fault[]): SettingsRead {
  const secrets = readSecretFiles(environment, secretNames());
  const values = { ...environment, ...secrets.values };
  const { env } = settings.federation.providers;
  const providers = readProviderSecrets(env, values[env] ?? '');
  const faults = [...found, ...secrets.faults, ...providers.faults];
  return parseSettings({ ...values, [env]: providers.value }, faults);
}

/** Variables that look like a misspelt setting. Only warnings: other programs may read them. */
export function environmentWarnings(
  environment: Environment = process.env,
): { env: string; meant: string }[] {
  const given = Object.keys(environment).filter((name) => environment[name] !== undefined);
  return misspeltNames(given, names());
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
