import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import {
  type Config,
  ConfigError,
  type Fault,
  faultySettings,
  readSettings,
  type SettingsRead,
  usable,
  withFurther,
} from '../kernel/config/config';
import { faultOfFolder } from '../kernel/config/folders';
import {
  checkCompromisedPasswords,
  developmentSecretIn,
  loadAuthMailTemplates,
} from '../modules/auth';
import { listening } from '../runtime/listening';
import { faultOfRuntimeDir } from '../runtime/runtime-dir';

/**
 * Throws one ConfigError: of the settings, and of the files and folders that they name on this
 * host. Nothing is changed.
 */
export const loadServiceConfig = (): Config => usable(checkedSettings());

/**
 * The same, with the addresses. Not at a start: one that is not there yet, as that of a tunnel, is
 * no reason to stay down.
 */
export async function loadCheckedConfig(): Promise<Config> {
  const { config, faults } = checkedSettings();
  const found = await addressFaults(config.server);
  return usable({ config, faults: withFurther(faults, found) });
}

function checkedSettings(): SettingsRead {
  const { config, faults } = readSettings();
  const bad = faultySettings(faults);
  const found = [
    ...faultsOf(() => loadAuthMailTemplates(config.mail.templatesDir)),
    ...faultsOf(() => checkCompromisedPasswords(config)),
    ...faultOf('DATA_DIR', usesDataDir(config, bad) ? config.database.dataDir : undefined),
    ...faultOf('RUNTIME_DIR', config.cluster.runtimeDir),
  ];
  return { config, faults: withFurther(faults, found) };
}

function faultsOf(work: () => unknown): readonly Fault[] {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

function faultOf(env: 'DATA_DIR' | 'RUNTIME_DIR', folder: string | undefined): Fault[] {
  const check = env === 'DATA_DIR' ? faultOfFolder : faultOfRuntimeDir;
  const message = folder === undefined ? undefined : check(folder);
  return message === undefined ? [] : [{ env, message }];
}

/** A value with a fault is undefined too. */
function usesDataDir({ server, database, auth }: Config, bad: ReadonlySet<string>): boolean {
  const isUnset = (env: string, value: unknown) => value === undefined && !bad.has(env);
  const hasNoDatabase = isUnset('MONGODB_URI', database.uri);
  // One that is there is only read.
  const hasNoSecret =
    isUnset('KEY_ENCRYPTION_SECRET', auth.keyEncryptionSecret) &&
    isUnset('JWT_SECRET', auth.jwtSecret) &&
    !existsSync(developmentSecretIn(database.dataDir));
  // Production must not use it, which is a fault of other settings.
  return server.environment !== 'production' && (hasNoDatabase || hasNoSecret);
}

async function addressFaults({ host, opsHost, opsPort }: Config['server']): Promise<Fault[]> {
  const hosts = [
    ['HOST', host],
    ['OPS_HOST', opsPort === 0 ? undefined : opsHost],
  ] as const;
  const found = await Promise.all(
    hosts.map(async ([env, value]) => {
      const message = value === undefined ? undefined : await faultOfAddress(value);
      return message === undefined ? [] : [{ env, message }];
    }),
  );
  return found.flat();
}

/**
 * Not a wrong setting: the resolver does not answer now, or this process has no descriptor left.
 */
const PASSING: ReadonlySet<string | undefined> = new Set(['EAI_AGAIN', 'EMFILE', 'ENFILE']);

async function faultOfAddress(host: string): Promise<string | undefined> {
  const server = createServer();
  try {
    await listening(server, { host, port: 0, exclusive: true });
    await new Promise((resolve) => server.close(resolve));
    return undefined;
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (PASSING.has(code)) return undefined;
    const why =
      syscall === 'getaddrinfo' ? 'the name does not resolve' : 'this host does not have it';
    return `must be an address of this host, or a name of one: ${why} (${code}); it is ${JSON.stringify(host)}`;
  }
}
