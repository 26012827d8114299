import cluster from 'node:cluster';
import { exitCodeOf, exitCodes } from './cluster/exit-codes';
import { createMember } from './cluster/member';
import { runPrimary } from './cluster/primary';
import { ConfigError, loadConfig, processRole } from './config';
import { embeddedUri, startEmbeddedDatabase } from './embedded';
import { createDestination } from './observability/destination';
import { createLogger } from './observability/logger';
import { prepareDatabase } from './prepare';
import { runWorker } from './worker';

async function main(): Promise<number> {
  const config = loadConfig();
  const { uri, embedded, dataDir } = config.database;
  const role = processRole(cluster.isWorker);
  // PM2 takes a worker's lines from process.stdout, which it has replaced, not from the descriptor.
  const log = createLogger({ level: config.server.logLevel }, role.role === 'pm2' ? process.stdout : createDestination());
  const prepare = (databaseUri: string) => prepareDatabase(databaseUri, config, log, { embedded: uri === undefined });
  if (role.role === 'primary') {
    const mode = embedded === 'off' ? 'auto' : embedded;
    const startDatabase = () => startEmbeddedDatabase({ mode, dataDir, log });
    return runPrimary({ config, log, startDatabase, prepareDatabase: prepare, hasTerminal: process.stdin.isTTY === true });
  }
  const databaseUri = uri ?? embeddedUri(dataDir);
  const member = createMember({ config, role, log });
  try {
    // Under PM2 nobody of ours came before the workers; to prepare twice does no harm.
    if (role.role === 'pm2') await prepare(databaseUri);
    // Told to end before it was ready, a worker does not first wait for its stores.
    return await Promise.race([runWorker({ config, log, member, databaseUri }), member.done]);
  } catch (error) {
    member.fail(error, exitCodeOf(error));
    return member.done;
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error instanceof Error ? error.stack : error)}\n`);
    process.exit(error instanceof ConfigError ? exitCodes.config : exitCodes.software);
  },
);
