import { randomBytes } from 'node:crypto';
import { authIndexes } from './auth/indexes';
import { createPasswords } from './auth/passwords';
import type { Config } from './config';
import { connectDatabase, type Database } from './data/connection';
import { ensureIndexes, INDEX_BUILD_TIMEOUT_MS } from './data/indexes';
import type { Logger } from './observability/logger';
import { createMetrics } from './observability/metrics';
import { createUserModel } from './users/model';
import { createUserRepository, isDuplicateKey, type UserRepository } from './users/repository';

const DEVELOPMENT_ADMIN = 'admin@localhost.localdomain';

/**
 * What must be so in the database before workers serve: every index, and on an embedded database a first administrator.
 * Run once by the primary (or by `npm run prepare:database`); safe to run twice at the same time.
 */
export async function prepareDatabase(uri: string, config: Config, log: Logger, options: { embedded: boolean }): Promise<void> {
  const database = await connectDatabase(uri, { ...config.database, operationTimeoutMs: INDEX_BUILD_TIMEOUT_MS }, log);
  try {
    await createIndexes(database, log);
    if (options.embedded) await seedAdmin(database, config, log);
  } finally {
    await database.close();
  }
}

/** Safe to run at any time, also beside a service. */
export async function createIndexes(database: Database, log: Logger): Promise<void> {
  await ensureIndexes(database.connection, [createUserModel(database.connection)], authIndexes, log);
}

async function seedAdmin(database: Database, config: Config, log: Logger): Promise<void> {
  const repository = createUserRepository(createUserModel(database.connection), { timeoutMs: config.database.operationTimeoutMs });
  if (await repository.otherAdminExists(repository.newId())) return;
  const password = randomBytes(15).toString('base64url');
  if (await createAdmin(repository, config, { name: 'Development Admin', email: DEVELOPMENT_ADMIN, password })) {
    log.warn(
      { email: DEVELOPMENT_ADMIN },
      `development administrator ${DEVELOPMENT_ADMIN} created; its password, shown only now: ${password}`,
    );
  }
}

/** false when the e-mail is taken. */
export async function createAdmin(
  repository: UserRepository,
  config: Config,
  admin: { name: string; email: string; password: string },
): Promise<boolean> {
  const passwords = createPasswords({ cost: config.auth.bcryptCost, concurrency: 1, queueMax: 1, metrics: createMetrics() });
  const { password, ...rest } = admin;
  try {
    await repository.insert({ ...rest, id: repository.newId(), passwordHash: await passwords.hash(password), role: 'admin' }, new Date());
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}
