import cluster from 'node:cluster';
import { hostname } from 'node:os';
import { loadEmbeddedMongo } from './app/development-database';
import { prepareDatabase } from './app/prepare';
import { loadServiceConfig } from './app/service-config';
import { runWorker } from './app/worker';
import {
  ConfigError,
  environmentWarnings,
  loadConfig,
  type ProcessRole,
  parentToFollow,
  processRole,
} from './kernel/config/config';
import { VERSION } from './kernel/version';
import { connectTracing, openActiveSpan } from './platform/telemetry/connect-tracing';
import { createDestination } from './platform/telemetry/destination';
import { createLogger } from './platform/telemetry/logger';
import { createRecentLines } from './platform/telemetry/recent-lines';
import { exitCodeOf, exitCodes } from './runtime/exit-codes';
import { isSupervision } from './runtime/ops/supervision-lines';
import { runPrimary } from './runtime/primary/primary';
import { createMember } from './runtime/worker/member';
import { keepTickObject } from './runtime/worker/tick-object';

async function main(): Promise<number> {
  const role = processRole(cluster.isWorker);
  const [argument] = process.argv.slice(2);
  if (role.role === 'primary' && argument !== undefined) {
    process.stderr.write(
      `The service takes no arguments, but got ${JSON.stringify(argument)}. Settings come from the environment and .env (docs/configuration.md).\n`,
    );
    return exitCodes.config;
  }
  // Of a host whose folders change later, the workers go on.
  const config = role.role === 'primary' ? loadServiceConfig() : loadConfig();
  const { uri, embedded, dataDir } = config.database;
  // PM2 takes a worker's lines from process.stdout, which it has replaced, not from the descriptor.
  const recent = createRecentLines(role.role === 'primary' ? isSupervision : undefined);
  const active = openActiveSpan(config.tracing);
  const log = createLogger(
    { level: config.server.logLevel, fields: active?.fields },
    recent.tap(role.role === 'pm2' ? process.stdout : createDestination()),
  );
  // Once: by the primary, or by the first of PM2's workers.
  if (role.role !== 'worker' && role.workerId === 0)
    for (const { env, meant } of environmentWarnings())
      log.warn(`environment variable ${env} is not a setting, did you mean ${meant}?`);
  const tracing = await connectTracing({
    ...{ settings: config.tracing, active, log },
    resource: resourceOf(role),
  });
  const prepare = (databaseUri: string) =>
    prepareDatabase(databaseUri, config, log, { embedded: uri === undefined, tracing });
  if (role.role === 'primary') {
    const mode = embedded === 'off' ? 'auto' : embedded;
    const startDatabase = async () =>
      (await loadEmbeddedMongo()).startEmbeddedDatabase({ mode, dataDir, log });
    const options = {
      config,
      log,
      recent,
      tracing,
      startDatabase,
      prepareDatabase: prepare,
      hasTerminal: process.stdin.isTTY === true,
    };
    return runPrimary({ ...options, parentPid: parentToFollow() });
  }
  const databaseUri = uri ?? (await loadEmbeddedMongo()).embeddedUri(dataDir);
  const member = createMember({ config, role, log, recent });
  try {
    // To prepare twice does no harm.
    if (role.prepares) await prepare(databaseUri);
    // Told to end before it was ready, a worker does not first wait for its stores.
    return await Promise.race([
      runWorker({ config, log, member, tracing, databaseUri }),
      member.done,
    ]);
  } catch (error) {
    member.fail(error, exitCodeOf(error));
    return member.done;
  }
}

/** What traces say about this process. */
const resourceOf = ({ role, workerId }: ProcessRole) => ({
  'service.version': VERSION,
  'service.instance.id': `${hostname()}-${process.pid}`,
  'process.pid': process.pid,
  'host.name': hostname(),
  ...(role === 'primary' ? {} : { 'service.worker': workerId }),
});

keepTickObject();
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(
      `${error instanceof ConfigError ? error.message : String(error instanceof Error ? error.stack : error)}\n`,
    );
    process.exit(error instanceof ConfigError ? exitCodes.config : exitCodes.software);
  },
);
