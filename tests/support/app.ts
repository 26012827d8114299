import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseConfig } from '../../src/config';
import type { Database } from '../../src/data/connection';
import { messageConstructors } from '../../src/http/fast-prototypes';
import { createLifecycle } from '../../src/lifecycle';
import { createLogger } from '../../src/observability/logger';
import { createMetrics, type Metrics } from '../../src/observability/metrics';
import { createAdmin, prepareDatabase } from '../../src/prepare';
import { createService } from '../../src/service';
import { createUserModel } from '../../src/users/model';
import { createUserRepository } from '../../src/users/repository';
import { startTestMongo } from './mongo';

export interface TestService {
  readonly baseUrl: string;
  readonly database: Database;
  readonly metrics: Metrics;
  readonly admin: { readonly email: string; readonly password: string };
  close(): Promise<void>;
}

/** One worker of the service in this process, on a database of its own and a free port. `overrides` are environment variables. */
export async function startTestService(overrides: Record<string, string> = {}): Promise<TestService> {
  const log = createLogger({ level: overrides['LOG_LEVEL'] ?? 'silent' });
  const mongo = await startTestMongo();
  const lifecycle = createLifecycle({ deadlineMs: 10_000, log });
  lifecycle.own('mongo', mongo);
  const config = parseConfig({
    NODE_ENV: 'test',
    MONGODB_URI: mongo.uri,
    JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
    BCRYPT_COST: '4',
    RATE_LIMIT: 'false',
    ...overrides,
  });
  await prepareDatabase(mongo.uri, config, log, { embedded: false });

  const metrics = createMetrics();
  const service = await createService({
    config,
    log,
    metrics,
    lifecycle,
    databaseUri: mongo.uri,
    databaseEngine: 'mongodb',
    worker: 1,
    workers: () => 1,
    draining: () => false,
  });
  const admin = { name: 'Test Admin', email: 'admin@example.org', password: 'admin of the tests' };
  const users = createUserModel(service.database.connection);
  await createAdmin(createUserRepository(users, { timeoutMs: 2000 }), config, admin);

  const server = createServer(messageConstructors(service.app), service.app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  lifecycle.own('server', {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    database: service.database,
    metrics,
    admin,
    close: async () => {
      await lifecycle.close();
    },
  };
}
