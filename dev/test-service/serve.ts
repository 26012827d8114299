import { type AddressInfo, createServer as createListener } from 'node:net';
import { prepareDatabase } from '../../src/app/prepare';
import { createService } from '../../src/app/service';
import { loadConfig } from '../../src/kernel/config/config';
import { createLifecycle, type Lifecycle } from '../../src/kernel/lifecycle';
import { openCompromisedList } from '../../src/modules/auth';
import { messageConstructors } from '../../src/platform/http/fast-prototypes';
import { createServer } from '../../src/platform/http/server';
import { createLogger } from '../../src/platform/telemetry/logger';
import { createMetrics } from '../../src/platform/telemetry/metrics';
import type { EmbeddedDatabase } from '../embedded-mongo';
import { createMovableClock, type MovableClock } from './clock';
import { createUserWriter } from './new-user';
import { rememberState } from './reset';

export interface TestService {
  readonly url: string;
  readonly clock: MovableClock;
  /** Throws where the service would not have such a user. */
  createUser(user: unknown): Promise<string>;
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
  const { compromisedPasswordsFile: file } = config.auth;
  const list = file === undefined ? undefined : openCompromisedList(file);
  if (list !== undefined) lifecycle.own('compromised passwords', list);
  const restore = await rememberState(service.database.connection);
  return {
    ...{ url, clock },
    createUser: createUserWriter(service, config, clock, list),
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
