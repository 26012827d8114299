import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DestinationStream } from 'pino';
import { createAdmin, prepareDatabase } from '../../src/app/prepare';
import { createService } from '../../src/app/service';
import { parseConfig } from '../../src/kernel/config/config';
import { createLifecycle } from '../../src/kernel/lifecycle';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository } from '../../src/modules/users/repository';
import { messageConstructors } from '../../src/platform/http/fast-prototypes';
import { withRoutableTargets } from '../../src/platform/http/target';
import type { Database } from '../../src/platform/mongo/connection';
import { connectTracing, openActiveSpan } from '../../src/platform/telemetry/connect-tracing';
import { createLogger } from '../../src/platform/telemetry/logger';
import { createMetrics, type Metrics } from '../../src/platform/telemetry/metrics';
import { startTestMongo, type TestMongo } from './mongo';

export interface TestService {
  readonly baseUrl: string;
  readonly database: Database;
  readonly metrics: Metrics;
  readonly admin: { readonly email: string; readonly password: string };
  close(): Promise<void>;
}

/**
 * Runs one worker of the service in this process, on a free port and a new database (or on a given
 * one, as another host). `overrides` are environment variables; `logTo` gets the log lines.
 */
export async function startTestService(
  overrides: Record<string, string> = {},
  given?: Pick<TestMongo, 'uri'>,
  logTo?: DestinationStream,
): Promise<TestService> {
  const endpoint = overrides['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const active = openActiveSpan({ endpoint });
  const log = createLogger(
    { level: overrides['LOG_LEVEL'] ?? 'silent', fields: active?.fields },
    logTo,
  );
  const lifecycle = createLifecycle({ deadlineMs: 10_000, log });
  try {
    return await start({ overrides, given, log, active, lifecycle });
  } catch (error) {
    // What has started ends with the failure: a test cannot close what it never got.
    await lifecycle.close();
    throw error;
  }
}

interface Start {
  readonly overrides: Record<string, string>;
  readonly given: Pick<TestMongo, 'uri'> | undefined;
  readonly log: ReturnType<typeof createLogger>;
  readonly active: ReturnType<typeof openActiveSpan>;
  readonly lifecycle: ReturnType<typeof createLifecycle>;
}

async function start({ overrides, given, log, active, lifecycle }: Start): Promise<TestService> {
  const mongo = given ?? lifecycle.own('mongo', await startTestMongo());
  const config = parseConfig({
    NODE_ENV: 'test',
    MONGODB_URI: mongo.uri,
    JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
    BCRYPT_COST: '4',
    RATE_LIMIT: 'false',
    // Each write waits that long.
    NEAR_CACHE_TTL_MS: '5',
    ...overrides,
  });
  await prepareDatabase(mongo.uri, config, log, { embedded: false });

  const metrics = createMetrics();
  const tracing = lifecycle.own(
    'tracing',
    await connectTracing({ settings: config.tracing, active, log, resource: {} }),
  );
  const service = await createService({
    config,
    log,
    metrics,
    tracing,
    lifecycle,
    databaseUri: mongo.uri,
    databaseEngine: 'mongodb',
    worker: 1,
    workers: () => 1,
    draining: () => false,
  });
  const admin = { name: 'Test Admin', email: 'admin@example.org', password: 'admin of the tests' };
  const users = createUserModel(service.database.connection);
  await createAdmin(createUserRepository(users, { timeoutMs: 2000 }), config, admin, Date.now());

  const server = createServer(
    messageConstructors(service.app),
    withRoutableTargets(service.app as RequestListener),
  );
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
