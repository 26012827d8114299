import { type AddressInfo, createServer as createListener } from 'node:net';
import { prepareDatabase } from '../../src/app/prepare';
import { createService, type Service } from '../../src/app/service';
import { loadConfig } from '../../src/kernel/config/config';
import { createLifecycle, type Lifecycle } from '../../src/kernel/lifecycle';
import { createPolicy } from '../../src/kernel/permissions';
import { createHashAlgorithm, hashSettings } from '../../src/modules/auth';
import { openUserRepository } from '../../src/modules/users';
import { messageConstructors } from '../../src/platform/http/fast-prototypes';
import { createServer } from '../../src/platform/http/server';
import { createLogger } from '../../src/platform/telemetry/logger';
import { createMetrics } from '../../src/platform/telemetry/metrics';
import type { EmbeddedDatabase } from '../embedded-mongo';
import { createMovableClock, type MovableClock } from './clock';
import type { TestUser } from './messages';
import { rememberState } from './reset';

export interface TestService {
  readonly url: string;
  readonly clock: MovableClock;
  createUser(user: TestUser): Promise<string>;
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** One worker of the service on a database that is starting. */
export async function serve(starting: Promise<EmbeddedDatabase>): Promise<TestService> {
  // The address is part of the settings: tokens name their issuer.
  const listener = createListener({ pauseOnConnect: true });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  const config = loadConfig({ PUBLIC_URL: process.env['PUBLIC_URL'] ?? url });
  const log = createLogger({ level: config.server.logLevel });
  const lifecycle = createLifecycle({ deadlineMs: 10_000, log });
  const { uri, engine } = lifecycle.own('embedded database', await starting);
  const clock = createMovableClock();
  await prepareDatabase(uri, config, log, { embedded: false });
  const service = await createService({
    ...{ config, log, lifecycle, databaseUri: uri, databaseEngine: engine },
    metrics: createMetrics(),
    worker: 1,
    workers: () => 1,
    draining: () => false,
    openDatabase: clock.openDatabase,
  });
  const server = lifecycle.own(
    'server',
    createServer(service.app, config.server, messageConstructors(service.app)),
  );
  server.open();
  listener.on('connection', (socket) => {
    if (server.accept(socket)) socket.resume();
    else socket.destroy();
  });
  const restore = await rememberState(service.database.connection);
  return {
    ...{ url, clock },
    createUser: createUserWriter(service, config, clock),
    async reset() {
      await restore();
      clock.reset();
    },
    close: () => closeAll(listener, lifecycle),
  };
}

async function closeAll(
  listener: ReturnType<typeof createListener>,
  lifecycle: Lifecycle,
): Promise<void> {
  listener.close();
  await lifecycle.close();
}

/** Straight into the database: what a test needs first is not what it tests. */
function createUserWriter(
  { database }: Service,
  config: ReturnType<typeof loadConfig>,
  clock: MovableClock,
) {
  const repository = openUserRepository(database.connection, {
    timeoutMs: config.database.operationTimeoutMs,
  });
  const { roles } = createPolicy(config.auth.roles);
  const passwords = createHashAlgorithm(hashSettings(config));
  return async ({ name, email, password, role, email_verified }: TestUser) => {
    if (!roles.includes(role)) throw new Error(`no such role: ${role}`);
    const id = repository.newId();
    const passwordHash = await passwords.hash(password);
    const user = { id, name, email, passwordHash, role, emailVerified: email_verified };
    await repository.insert(user, new Date(clock.now()));
    return id;
  };
}
