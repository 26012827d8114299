import { ConfigError, loadConfig } from '../config';
import { createLogger } from '../observability/logger';
import { startEmbeddedDatabase } from '.';
import { messageOf } from './system';

const CHECK_EVERY_MS = 1000;

/**
 * Runs the embedded database alone, for a process manager that starts the workers itself. Workers find it at
 * `embeddedUri(DATA_DIR)`. Lives until a signal.
 */
async function main(): Promise<void> {
  const { server, database } = loadConfig();
  const log = createLogger({ level: server.logLevel, name: 'database' });
  if (server.environment === 'production' || database.embedded === 'off') {
    log.fatal('the embedded database is for development: it starts neither in production nor with EMBEDDED_DB=off');
    process.exitCode = 1;
    return;
  }
  const embedded = await startEmbeddedDatabase({ mode: database.embedded, dataDir: database.dataDir, log });
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
  process.exitCode = 1;
  if (process.connected) process.disconnect();
});
