import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdmin, prepareDatabase } from '../src/app/prepare';
import { parseConfig } from '../src/kernel/config/config';
import { createUserModel } from '../src/modules/users/model';
import { createUserRepository } from '../src/modules/users/repository';
import { connectDatabase } from '../src/platform/mongo/connection';
import { createLogger } from '../src/platform/telemetry/logger';
import { type Client, createClient } from '../tests/support/http';
import { startTestMongo } from '../tests/support/mongo';
import { type ServiceProcess, startService } from '../tests/support/service';
import { serviceEntry, unbundledEntry } from './process-kit';

const programs = join(__dirname, 'programs');
const LIBRARY = 'faketime/libfaketimeMT.so.1';

/**
 * Debian's libfaketime, which shifts the clock of a whole process; undefined where it is not
 * installed.
 */
export function findFaketime(): string | undefined {
  const folders = [
    '/usr/lib',
    ...(existsSync('/usr/lib')
      ? readdirSync('/usr/lib').map((name) => join('/usr/lib', name))
      : []),
  ];
  return folders.map((folder) => join(folder, LIBRARY)).find((file) => existsSync(file));
}

/**
 * The environment of a process whose wall clock is off. The monotonic clock and the timers are
 * correct, as on a real host.
 */
export function shifted(seconds: number, folder: string): Record<string, string> {
  const library = findFaketime();
  if (library !== undefined) {
    const offset = `${seconds < 0 ? '' : '+'}${seconds}`;
    return seconds === 0
      ? {}
      : {
          LD_PRELOAD: library,
          FAKETIME: offset,
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
          FAKETIME_NO_CACHE: '1',
        };
  }
  const file = join(folder, `shift${seconds}`);
  writeFileSync(file, String(seconds * 1000));
  return { NODE_OPTIONS: `--require ${join(programs, 'clock-shift.js')}`, CLOCK_SHIFT_FILE: file };
}

export interface ClockHost {
  readonly aheadSeconds: number;
  readonly service: ServiceProcess;
  readonly client: Client;
}

export interface ClockStage {
  readonly hosts: readonly ClockHost[];
  readonly mongoUri: string;
  readonly admin: { readonly email: string; readonly password: string };
}

export interface ClockStageOptions {
  /** Of each host: how far its clock is ahead, and its own settings. */
  readonly hosts: readonly {
    readonly aheadSeconds: number;
    readonly env?: Readonly<Record<string, string>>;
  }[];
  readonly env?: Readonly<Record<string, string>>;
  /** The planted fault: every host uses its own clock. */
  readonly ownClocks?: boolean;
  /** Another planted fault: a program of faults/programs that replaces a module of the hosts. */
  readonly preload?: string;
}

export const ADMIN = {
  name: 'Test Admin',
  email: 'admin@example.org',
  password: 'admin of the tests',
};

/**
 * Hosts on one database, each a whole service with its own clock. The database uses this machine's
 * clock.
 */
export async function openClockStage(
  options: ClockStageOptions,
): Promise<ClockStage & { close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'clocks-'));
  const mongo = await startTestMongo();
  const services: ServiceProcess[] = [];
  const environment: Record<string, string> = {
    NODE_ENV: 'test',
    MONGODB_URI: mongo.uri,
    WORKERS: '1',
    BCRYPT_COST: '4',
    RATE_LIMIT: 'false',
    ACCESS_LOG: 'false',
    PUBLIC_URL: 'http://api.example.test',
    KEY_ENCRYPTION_SECRET: 'Wq4Lx8Rn2Tc6'.repeat(4),
    // A busy machine must not shed load here.
    ADMISSION_LOOP_BUDGET_MS: '60000',
    WORKER_STALL_MS: '60000',
    DB_OPERATION_TIMEOUT_MS: '4500',
    ...options.env,
  };
  const close = async () => {
    await Promise.all(services.map((service) => service.close()));
    await mongo.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await prepare(mongo.uri, environment);
    const preload = options.ownClocks === true ? 'own-clock' : options.preload;
    const planted = preload === undefined ? '' : `--require ${join(programs, `${preload}.js`)}`;
    const start = async ({
      aheadSeconds,
      env = {},
    }: ClockStageOptions['hosts'][number]): Promise<ClockHost> => {
      const clock = shifted(aheadSeconds, folder);
      const NODE_OPTIONS = [clock['NODE_OPTIONS'] ?? '', planted].join(' ').trim();
      const service = await startService({
        entry: preload === undefined ? serviceEntry : unbundledEntry,
        env: { ...environment, ...env, ...clock, ...(NODE_OPTIONS === '' ? {} : { NODE_OPTIONS }) },
        timeoutMs: 150_000,
      });
      services.push(service);
      return { aheadSeconds, service, client: createClient(service.url, { unchecked: true }) };
    };
    return {
      hosts: await Promise.all(options.hosts.map(start)),
      mongoUri: mongo.uri,
      admin: ADMIN,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function withClocksApart<T>(
  options: ClockStageOptions,
  use: (stage: ClockStage) => Promise<T>,
): Promise<T> {
  const stage = await openClockStage(options);
  try {
    return await use(stage);
  } finally {
    await stage.close();
  }
}

export async function prepare(uri: string, environment: Record<string, string>): Promise<void> {
  const config = parseConfig(environment);
  const log = createLogger({ level: 'silent' });
  await prepareDatabase(uri, config, log, { embedded: false });
  const database = await connectDatabase(uri, config.database, log);
  await createAdmin(
    createUserRepository(createUserModel(database.connection), { timeoutMs: 2000 }),
    config,
    ADMIN,
    Date.now(),
  );
  await database.close();
}
