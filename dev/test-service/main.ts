import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigError, environmentNames, loadConfig } from '../../src/kernel/config/config';
import { closest } from '../../src/kernel/config/names';
import { createLogger } from '../../src/platform/telemetry/logger';
import { startEmbeddedDatabase } from '../embedded-mongo';
import type { Answer, Order } from './messages';
import type * as Serve from './serve';
import type { TestService } from './serve';

/** Until the database's process has been started, which then goes on by itself. */
const SPAWN_MS = 10;

/** The names that the test has given: of them none is another program's. */
function assertSettings(given: readonly string[]): void {
  const known = environmentNames();
  const faults = given
    .filter((name) => !known.includes(name))
    .map((env) => {
      const meant = closest(env, known);
      const hint = meant === undefined ? 'see docs/configuration.md' : `did you mean ${meant}?`;
      return { env, message: `is not a setting of this service: ${hint}` };
    });
  if (faults.length > 0) throw new ConfigError(faults);
}

/** The service is loaded while its database starts: each takes about half a second of a core. */
async function start(): Promise<TestService> {
  assertSettings(process.argv.slice(2));
  const { database, server } = loadConfig();
  const log = createLogger({ level: server.logLevel });
  const mode = database.embedded === 'mongod' ? 'mongod' : 'engine';
  const starting = startEmbeddedDatabase({ mode, dataDir: database.dataDir, log });
  starting.catch(() => undefined);
  await pause(SPAWN_MS);
  const { serve } = require('./serve') as typeof Serve;
  return serve(starting);
}

/**
 * The service as a fixture of tests: the program that @clustered-auth/testing starts and sends
 * orders to. It is in that package only, and ends with the process that started it.
 */
async function main(): Promise<void> {
  if (process.env['NODE_ENV'] !== 'development' || process.send === undefined)
    throw new Error('the test service runs only as a child of @clustered-auth/testing');
  const send = (message: unknown) => process.send?.(message, undefined, undefined, () => undefined);
  let service: TestService | undefined;
  process.once('disconnect', () => {
    // A start that is in progress ends with the process.
    if (service === undefined) process.exit(0);
    // The parent may have been killed: then nobody else removes its folder.
    service.close().finally(() => {
      rmSync(process.cwd(), { recursive: true, force: true });
      process.exit(0);
    });
  });
  service = await start();
  const { clock, url } = service;
  const orders: { readonly [T in Order['type']]: (order: Extract<Order, { type: T }>) => unknown } =
    {
      createUser: ({ user }) => service.createUser(user),
      advance: ({ ms }) => clock.advance(ms),
      set: ({ timeMs }) => clock.set(timeMs),
      now: () => clock.now(),
      reset: () => service.reset(),
    };
  const obey = async (order: Order): Promise<unknown> =>
    (orders[order.type] as (order: Order) => unknown)(order);
  process.on('message', ({ id, ...order }: Order & { readonly id: number }) => {
    obey(order as Order).then(
      (value) => send({ id, value } satisfies Answer),
      (error: unknown) => send({ id, error: String(error) } satisfies Answer),
    );
  });
  send({ ready: url });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
