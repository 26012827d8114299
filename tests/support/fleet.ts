import path from 'node:path';
import { createAdmin, prepareDatabase } from '../../src/app/prepare';
import { parseConfig } from '../../src/kernel/config/config';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository } from '../../src/modules/users/repository';
import { connectDatabase } from '../../src/platform/mongo/connection';
import { createLogger } from '../../src/platform/telemetry/logger';
import { startTestMongo } from './mongo';
import { root, type ServiceProcess, startService } from './service';

export interface Fleet {
  readonly url: string;
  readonly mongoUri: string;
  readonly service: ServiceProcess;
  readonly admin: { readonly email: string; readonly password: string };
  /** The environment of other programs of the same deployment. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export const entry = path.join(root, 'dist', 'main.js');

/**
 * Starts the whole service, primary and workers, on a new database with an administrator.
 */
export async function startFleet(
  workers: number,
  overrides: Record<string, string> = {},
): Promise<Fleet> {
  const mongo = await startTestMongo();
  const admin = { name: 'Test Admin', email: 'admin@example.org', password: 'admin of the tests' };
  const environment = {
    NODE_ENV: 'test',
    MONGODB_URI: mongo.uri,
    WORKERS: String(workers),
    BCRYPT_COST: '4',
    RATE_LIMIT: 'false',
    ACCESS_LOG: 'false',
    LOGIN_ATTEMPTS_PER_NETWORK: '100000',
    // A loaded machine must not refuse requests here; other tests cover load shedding.
    ADMISSION_IN_FLIGHT_MAX: '100000',
    ADMISSION_LOOP_BUDGET_MS: '60000',
    WORKER_STALL_MS: '60000',
    HASH_QUEUE_MAX: '10000',
    DB_OPERATION_TIMEOUT_MS: '4500',
    KEY_ENCRYPTION_SECRET: 'Wq4Lx8Rn2Tc6'.repeat(4),
    ...overrides,
  };
  try {
    const config = parseConfig(environment);
    const log = createLogger({ level: 'silent' });
    await prepareDatabase(mongo.uri, config, log, { embedded: false });
    const database = await connectDatabase(mongo.uri, config.database, log);
    await createAdmin(
      createUserRepository(createUserModel(database.connection), { timeoutMs: 2000 }),
      config,
      admin,
      Date.now(),
    );
    await database.close();
    const service = await startService({ entry, env: environment, timeoutMs: 60_000 });
    return {
      url: service.url,
      mongoUri: mongo.uri,
      service,
      admin,
      environment,
      async close() {
        await service.close();
        await mongo.close();
      },
    };
  } catch (error) {
    await mongo.close();
    throw error;
  }
}
