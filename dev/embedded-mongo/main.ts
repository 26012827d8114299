import { ConfigError, loadConfig } from '../../src/kernel/config/config';
import { createLogger } from '../../src/platform/telemetry/logger';
import { startEmbeddedDatabase } from './index';
import { messageOf } from './system';

const CHECK_EVERY_MS = 1000;
/** The same exit codes as the service (runtime/exit-codes.ts): a restart does not help. */
const EX_CONFIG = 78;

/**
 * Runs only the embedded database, for a process manager that starts the workers itself. Workers
 * connect to `embeddedUri(DATA_DIR)`. Runs until a signal.
 */
async function main(): Promise<void> {
  const { server, database } = loadConfig();
  const log = createLogger({ level: server.logLevel, name: 'database' });
  if (server.environment === 'production' || database.embedded === 'off') {
    log.fatal(
      'the embedded database is for development: it starts neither in production nor with EMBEDDED_DB=off',
    );
    process.exitCode = EX_CONFIG;
    return;
  }
  const embedded = await startEmbeddedDatabase({
    mode: database.embedded,
    dataDir: database.dataDir,
    log,
  });
  process.send?.('ready');
  const failed = await new Promise<boolean>((resolve) => {
    const timer = setInterval(() => embedded.state() === 'failed' && resolve(true), CHECK_EVERY_MS);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        clearInterval(timer);
        resolve(false);
      });
    }
  });
  if (failed) process.exitCode = 1;
  await embedded.close();
  // A process manager's channel would keep the process alive.
  if (process.connected) process.disconnect();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof ConfigError ? error.message : messageOf(error)}\n`);
  process.exitCode = error instanceof ConfigError ? EX_CONFIG : 1;
  if (process.connected) process.disconnect();
});
