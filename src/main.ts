import cluster from 'node:cluster';
import { hostname } from 'node:os';
import { serveAsPrimary, serveAsWorker } from './app/roles';
import { loadServiceConfig } from './app/service-config';
import {
  ConfigError,
  environmentWarnings,
  loadConfig,
  type ProcessRole,
  processRole,
} from './kernel/config/config';
import { VERSION } from './kernel/version';
import { connectTracing, openActiveSpan } from './platform/telemetry/connect-tracing';
import { createDestination } from './platform/telemetry/destination';
import { createLogger } from './platform/telemetry/logger';
import { createRecentLines } from './platform/telemetry/recent-lines';
import { exitCodes } from './runtime/exit-codes';
import { isSupervision } from './runtime/ops/supervision-lines';
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
  // Only the primary checks the host's folders: workers keep running when those change later.
  const config = role.role === 'primary' ? loadServiceConfig() : loadConfig();
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
  const parts = { config, log, recent, tracing };
  return role.role === 'primary' ? serveAsPrimary(parts) : serveAsWorker(parts, role);
}

/** The resource attributes of this process's traces. */
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
