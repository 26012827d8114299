import { connectCache } from '../cache/create';
import { createMongoLedger, LEDGER_COLLECTION } from '../cache/ledger';
import { loadConfig } from '../config';
import { createLocks } from '../data/locks';
import { createLogger } from '../observability/logger';
import { cachedUsers } from '../users/cached';
import { createUserModel } from '../users/model';
import { createUserRepository } from '../users/repository';
import { createUserService } from '../users/service';
import { withDatabase } from './database';

/** Through the same cache as the workers' writes, so that it holds on all of them when it resolves. False: no such account. */
export async function setBanned(email: string, banned: boolean): Promise<boolean> {
  const config = loadConfig();
  const log = createLogger({ level: 'warn', name: 'admin' });
  const timeoutMs = config.database.operationTimeoutMs;
  return withDatabase(config, log, async ({ connection }) => {
    const ledger = createMongoLedger(() => connection.collection(LEDGER_COLLECTION), config.cache.keyPrefix);
    const cache = await connectCache({ settings: config.cache, log, ledger });
    try {
      const repository = createUserRepository(createUserModel(connection), { timeoutMs });
      const locks = createLocks(connection, { ttlMs: config.cache.writerTtlMs, waitMs: timeoutMs, timeoutMs });
      const users = createUserService({ repository, users: cachedUsers(cache, repository.find), cache, locks, now: () => new Date() });
      const found = await repository.credentialsByEmail(email);
      if (found === null) return false;
      await users.setStatus(found.id, banned ? 'banned' : 'active');
      return true;
    } finally {
      await cache.close();
    }
  });
}
