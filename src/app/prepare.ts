import type { Config } from '../kernel/config/config';
import { randomToken } from '../kernel/crypto/random';
import { createHashAlgorithm, hashSettings, NO_PASSWORD } from '../modules/auth';
import { openUserRepository, type UserRepository } from '../modules/users';
import { connectDatabase, type Database, warnOfUri } from '../platform/mongo/connection';
import { isDuplicateKey } from '../platform/mongo/errors';
import { INDEX_BUILD_TIMEOUT_MS } from '../platform/mongo/indexes';
import { markProduction } from '../platform/mongo/production-mark';
import { traceCommands } from '../platform/mongo/trace-commands';
import type { Logger } from '../platform/telemetry/logger';
import { NO_TRACING, type Tracing, within } from '../platform/telemetry/tracing';
import { warnOfHashMemory } from './hash-memory';
import { migrateAtStart } from './migrate';
import { storages } from './modules';

const DEVELOPMENT_ADMIN = 'admin@localhost.localdomain';

/**
 * Creates the indexes and runs the migrations that workers need, and the first administrator of an
 * embedded database. The primary runs it once, as does the first worker of a rolling reload;
 * concurrent runs are safe.
 */
export async function prepareDatabase(
  uri: string,
  config: Config,
  log: Logger,
  options: { embedded: boolean; tracing?: Tracing },
): Promise<void> {
  warnOfHashMemory(config, log);
  if (!options.embedded) warnOfUri(uri, config.database, log);
  const database = await connectDatabase(
    uri,
    { ...config.database, operationTimeoutMs: INDEX_BUILD_TIMEOUT_MS },
    log,
  );
  const { tracing = NO_TRACING } = options;
  if (tracing.isOn) traceCommands(database.connection, tracing);
  try {
    await within(tracing, tracing.begin('prepare database', undefined), async () => {
      await migrateAtStart(database.connection, config, log);
      if (config.server.environment === 'production') await mark(database, config, log);
      for (const storage of storages) await storage.check?.(config, database.connection, log);
      if (options.embedded) await seedAdmin(database, config, log);
    });
  } finally {
    await database.close();
  }
}

/** Tools that write test data refuse a database with the mark. The service needs it for nothing. */
async function mark({ connection, clock }: Database, config: Config, log: Logger): Promise<void> {
  const timeoutMs = config.database.operationTimeoutMs;
  try {
    await markProduction(connection, new Date(clock.now()), timeoutMs);
  } catch (error) {
    log.warn({ err: error }, 'database not marked as that of production');
  }
}

async function seedAdmin(database: Database, config: Config, log: Logger): Promise<void> {
  const repository = openUserRepository(database.connection, {
    timeoutMs: config.database.operationTimeoutMs,
  });
  if (await repository.otherAdminExists(repository.newId(), NO_PASSWORD)) return;
  const password = randomToken(15);
  const admin = { name: 'Development Admin', email: DEVELOPMENT_ADMIN, password };
  if (await createAdmin(repository, config, admin, database.clock.now())) {
    log.warn(
      { email: DEVELOPMENT_ADMIN },
      `development administrator ${DEVELOPMENT_ADMIN} created; its password, shown only now: ${password}`,
    );
  }
}

/** false: the e-mail address is taken. */
export async function createAdmin(
  repository: UserRepository,
  config: Config,
  admin: { name: string; email: string; password: string },
  nowMs: number,
): Promise<boolean> {
  const { password, ...rest } = admin;
  const passwordHash = await createHashAlgorithm(hashSettings(config)).hash(password);
  const user = { ...rest, id: repository.newId(), passwordHash, role: 'admin' } as const;
  try {
    await repository.insert(user, new Date(nowMs));
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}
